"""Write the table of settings in application-reference.md and the table of events in application.md, from the code.

python docs/make_settings_table.py
"""

import re
from dataclasses import fields
from pathlib import Path

from quartlogin.accounts.features.shipped import known_events
from quartlogin.webapp.settings import Settings

REFERENCE = Path(__file__).parent / "application-reference.md"
PAGE = Path(__file__).parent / "application.md"
#: The titles of the events that are stored, and of those that are only logged.
KINDS = {name: kind.title for name, kind in known_events().items() if not kind.is_logged_only}
LOGGED_ONLY = {name: kind.title for name, kind in known_events().items() if kind.is_logged_only}
#: Events of the first kind that are not stored.
NOT_STORED = ("rate_limited", "all_logins_revoked", "login_context_changed")


def main() -> None:
    """Replace the rows of both tables."""
    for path, row, *tables in (
        (REFERENCE, r"\| `[A-Z_]+` \|.*\n", setting_rows()),
        (PAGE, r"\| `[a-z_]+` \| [^|\n]+ \|\n", event_rows(stored_titles()), event_rows(LOGGED_ONLY)),
    ):
        path.write_text(replaced(path.read_text(encoding="utf-8"), row, tables), encoding="utf-8")


def replaced(text: str, row: str, tables: list[list[str]]) -> str:
    """Return the text with the first tables of rows of this form replaced."""
    rest = iter(tables)
    return re.sub(
        f"^(?:{row})+",
        lambda _: "".join(f"{line}\n" for line in next(rest)),
        text,
        count=len(tables),
        flags=re.MULTILINE,
    )


def setting_rows() -> list[str]:
    """Return one row for each setting."""
    return [
        f"| `{setting.name.upper()}` | {_shown(setting.default)} | {setting.metadata['unit']} |"
        f" {setting.metadata['meaning']} |"
        for setting in fields(Settings)
    ]


def stored_titles() -> dict[str, str]:
    """Return the titles of stored events, with a note beside those that are only logged."""
    return {
        **KINDS,
        **{kind: f"{KINDS[kind]} (in the log only)" for kind in NOT_STORED},
        "account_deleted": "(in the log only: the account is gone)",
    }


def event_rows(titles: dict[str, str]) -> list[str]:
    """Return one row for each event."""
    return [f"| `{kind}` | {title} |" for kind, title in titles.items()]


def _shown(default: object) -> str:
    return {"None": "none", "()": "`[]`", "True": "`true`"}.get(repr(default), f"`{default}`")


if __name__ == "__main__":
    main()
