"""The command that explains why a request is, or is not, signed in."""

import asyncio
import json
import re
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import click
from quart import Quart

from quartlogin import Login, NoRecords, tracing
from quartlogin.accounts.commands import EXPECTED, app_option, database_option, json_option
from quartlogin.explaining import Case, ReadOnlyRecorder, diagnose, tell_story

from .cookie_file import Cookies, read_cookies
from .source import ApplicationSource, app_running, silence_audit_log

_HEADER: Final = re.compile(r"(?P<name>[!#$%&'*+.^_`|~\w-]{1,100}):\s*(?P<value>[^\r\n\0]{0,4096})")
_WIDEST: Final = 100  # characters of a line
_NOT_SENT: Final = "Ask for an address to which the browser sends its cookies."
_UNCHECKED: Final = (
    "Whether the remember cookie was replaced by a newer one was not checked: the app would end the login then."
)
#: Keeps the time at which the login was last used.
_NO_VISIT: Final = ("Quartlogin-Background", "1")
_OTHER_BROWSER: Final = (
    "Session protection compared the browser in which the session began with this command, which comes from 127.0.0.1 "
    "and has the User-Agent of -H 'User-Agent: ...'. In the browser itself, this may be different."
)


@click.command()
@click.argument("url")
@click.option(
    "--cookie-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The browser's cookies: a cookie jar as curl writes it, or the text of a Cookie header.",
)
@click.option(
    "--header",
    "-H",
    "headers",
    multiple=True,
    metavar="NAME: VALUE",
    help="A further header, such as the browser's User-Agent, which session protection compares; repeat it for each.",
)
@json_option
@app_option
@database_option
def explain(
    url: str,
    cookie_file: Path | None,
    headers: Sequence[str],
    as_json: bool,
    app: str | None,
    database: str | None,
) -> None:
    """Explain why a GET request to URL is, or is not, signed in: the steps, a diagnosis, and what to do.

    The app runs in this process, with its own database and secret key, and the view runs as usual. No cookie is set, no
    remember cookie is used up and no login ends, so the browser's cookies stay valid.

    \b
    quartlogin explain http://localhost:5000/account --cookie-file cookies.txt --app mymodule:app
    """
    address = _split(url)
    cookies = Cookies("") if cookie_file is None else read_cookies(cookie_file, address)
    given = [_header(header) for header in headers]
    if app is not None and database is not None:
        raise click.UsageError("Pass --app (or QUARTLOGIN_APP) or --database, not both: an app has its own database.")
    silence_audit_log()
    try:
        running = app_running(app) if app is not None else ApplicationSource(database).run_app()
        found = asyncio.run(_explain(running, address, cookies, given))
    except EXPECTED as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(_shown(found))


def _shown(found: dict[str, Any]) -> str:
    story = [
        click.wrap_text(text, _WIDEST, f"{number:>2}. ", "    ") for number, text in enumerate(found["story"], start=1)
    ]
    end = [*found["notes"], found["diagnosis"], *([found["cure"]] if found["cure"] else [])]
    return "\n".join([found["request"], *story, *(click.wrap_text(text, _WIDEST) for text in end)])


def _split(url: str) -> SplitResult:
    try:
        address = urlsplit(url)
        has_host = bool(address.hostname) and address.port != 0 and address.username is None
    except ValueError:  # such as a port of letters
        has_host, address = False, SplitResult("", "", "", "", "")
    if not has_host or address.scheme not in {"http", "https"}:
        raise click.UsageError(f"{url!r:.80} is no address: write it as http://localhost:5000/account.")
    return address


def _header(text: str) -> tuple[str, str]:
    found = _HEADER.fullmatch(text)
    if found is None:
        raise click.UsageError(f"{text!r:.80} is no header: write it as 'User-Agent: ...'.")
    return found["name"], found["value"]


async def _explain(
    running: AbstractAsyncContextManager[Quart], address: SplitResult, cookies: Cookies, headers: list[tuple[str, str]]
) -> dict[str, Any]:
    async with running as app:
        recorder, is_unchecked = ReadOnlyRecorder(app), _restore_nothing(app)
        with tracing.listening(recorder):
            await _send(app, address, cookies, headers)
        recording = recorder.recordings[-1] if recorder.recordings else None
        if recording is None:
            raise click.ClickException("The app answered before its sign-in began: another part of it did.")
        found, is_compared = diagnose(Case(recording, app)), recording.details("protection").get("outcome")
        notes = [*cookies.not_sent, *([_OTHER_BROWSER] if is_compared == "other browser" else [])]
        notes += [_UNCHECKED] if is_unchecked and recording.last("restored") else []
        response = recording.details("response")
        route = "" if response.get("route") is None else f" to {response['route']}"
        return {
            "request": f"GET {address.path or '/'}: {response.get('status')}{route}",
            "notes": notes,
            "situation": found.situation,
            "diagnosis": found.sentence,
            "cure": _NOT_SENT if cookies.not_sent and found.situation == "first visit" else found.cure,
            "story": tell_story([recording]),
            "steps": [{"step": step.name, "seconds": step.seconds, **step.details} for step in recording.steps],
        }


def _restore_nothing(app: Quart) -> bool:
    """Keep the app's records from restoring a login in this process; return whether they would.

    They would replace the remember cookie's secret, or end the login if this is a copy that was replaced before.
    """
    records = app.extensions["quartlogin"].records
    if isinstance(records, NoRecords):
        return False
    records.login_restored = _is_not_renewed
    return True


async def _is_not_renewed(login: Login, new_secret: str | None) -> bool:  # noqa: ARG001 -- as of `LoginRecords`
    return False


async def _send(app: Quart, address: SplitResult, cookies: Cookies, headers: list[tuple[str, str]]) -> None:
    path = f"{address.path or '/'}{'?' if address.query else ''}{address.query}"
    all_headers = [("Host", address.netloc), *([("Cookie", cookies.header)] if cookies.header else []), *headers]
    all_headers.append(_NO_VISIT)
    client = app.test_client(use_cookies=False)
    await client.get(path, scheme=address.scheme, headers=all_headers, scope_base={"client": ("127.0.0.1", 0)})
