"""Write the tables of steps and of metrics in observability.md, from the code.

python docs/make_steps_table.py
"""

import re
from pathlib import Path

from quart import Quart

from quartlogin.telemetry.metrics import Metrics
from quartlogin.tracing import STEPS

PAGE = Path(__file__).parent / "observability.md"
_ROW = r"\| `[a-z_]+` \| .*\n"


def main() -> None:
    """Replace the rows of both tables."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def page(text: str) -> str:
    """Return the page with the rows of today."""
    tables = iter((step_rows(), metric_rows()))
    return re.sub(f"^(?:{_ROW})+", lambda _: "".join(f"{row}\n" for row in next(tables)), text, flags=re.MULTILINE)


def step_rows() -> list[str]:
    """Return one row for each step."""
    return [f"| `{name}` | {meaning} |" for name, meaning in STEPS.items()]


def metric_rows() -> list[str]:
    """Return one row for each metric, with its type and the name of its label."""
    return [
        f"| `{metric.name}{'_total' if metric.type == 'counter' else ''}` | {metric.type} | {metric.documentation} |"
        for metric in Metrics(Quart(__name__)).registry.collect()
    ]


if __name__ == "__main__":
    main()
