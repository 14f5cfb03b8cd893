"""The command that runs a sign-in and tells its twelve steps."""

import asyncio
import json
import re
import shutil
from collections import Counter
from pathlib import Path
from textwrap import fill
from typing import Any, Final

import click

from quartlogin.accounts.commands import EXPECTED, app_option, json_option
from quartlogin.explaining import draw

from .flow_run import FlowResult, run_app, run_application
from .flow_steps import FlowStep, twelve_steps
from .keys import system_message
from .source import silence_audit_log

_WIDEST: Final = 100  # characters of a line
_STANDARD_OUTPUT: Final = "-"
_TIME: Final = re.compile(r" \([\d.]+ ms\)")


@click.command()
@click.option("--user", "name", metavar="NAME", help="With --app: who signs in, by name or, without accounts, by id.")
@click.option("--path", default="/", show_default=True, help="The page that is requested after the sign-in.")
@click.option(
    "--login-page",
    is_flag=True,
    help="With --app: sign in on the app's own login page, with a password that is prompted for.",
)
@click.option(
    "--svg",
    metavar="[FILE]",
    is_flag=False,
    flag_value=_STANDARD_OUTPUT,
    help="Draw a sequence diagram, into FILE or instead of the story.",
)
@json_option
@app_option
def flow(name: str | None, path: str, login_page: bool, svg: str | None, as_json: bool, app: str | None) -> None:
    """Sign a user in, request a page, and tell the twelve steps: what was sent, read, signed and asked.

    Without --app, a made-up user signs in to the stand-alone application, in a temporary folder. With --app, the
    user exists in the app, whose own loader answers. No password is needed: the command calls login_user in a separate
    request, and ends the login again. The app runs in this process, so no time is spent on a network.

    \b
    quartlogin flow
    quartlogin flow --svg flow.svg
    quartlogin flow --app mymodule:app --user ada --path /orders
    """
    _check(name, path, login_page, svg, as_json, app)
    password = click.prompt("Password", hide_input=True, err=True) if login_page else None
    silence_audit_log()
    try:
        result = asyncio.run(run_application(path) if app is None else run_app(app, name or "", path, password))
    except EXPECTED as error:
        raise click.ClickException(str(error)) from None
    if svg is not None:
        _write_diagram(result, svg)
    if svg != _STANDARD_OUTPUT:
        click.echo(json.dumps(_as_json(result), indent=2) if as_json else _story(result))


def _check(name: str | None, path: str, login_page: bool, svg: str | None, as_json: bool, app: str | None) -> None:
    if app is None and (name is not None or login_page):
        raise click.UsageError("--user and --login-page belong to --app: the stand-alone application has its own user.")
    if app is not None and not name:
        raise click.UsageError("Pass --user: the user of the app who signs in.")
    if not path.startswith("/") or path.startswith("//"):
        raise click.UsageError("--path is an address within the app: it starts with one slash, such as /orders.")
    if svg == _STANDARD_OUTPUT and as_json:
        raise click.UsageError("Pass --svg with a FILE, or leave out --json: both go to standard output.")


def _write_diagram(result: FlowResult, file: str) -> None:
    text = draw([exchange.recording for exchange in result.flow.exchanges])
    if file == _STANDARD_OUTPUT:
        click.echo(text, nl=False)
        return
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"Cannot write {file}: {system_message(error)}.") from None
    click.echo(f"Wrote the diagram to {file}.", err=True)


def _as_json(result: FlowResult) -> dict[str, Any]:
    requests = [
        {
            "method": exchange.method,
            "path": exchange.shown_path,
            "fields": list(exchange.fields),
            "cookies": list(exchange.recording.details("request").get("cookies", ())),
            "status": exchange.status,
        }
        for exchange in result.flow.exchanges
    ]
    return {
        "app": result.app,
        "requests": requests,
        "steps": [step.as_json() for step in twelve_steps(result.flow)],
        "user": {"type": result.user_type, "id": result.user_id, "name": result.name},
        "afterwards": result.afterwards,
    }


def _story(result: FlowResult) -> str:
    """Return the twelve steps as text."""
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    lines = [line for step in twelve_steps(result.flow) for line in _lines(step, width)]
    return "\n".join([*lines, "", fill(result.summary, width), fill(result.afterwards, width)])


def _lines(step: FlowStep, width: int) -> list[str]:
    time = "" if step.seconds is None else f" ({step.seconds * 1000:.1f} ms)"
    return [
        f"{step.number:2}. {step.title}{time}",
        *(fill(sentence, width, initial_indent=" " * 6, subsequent_indent=" " * 8) for sentence in _once(step)),
    ]


def _once(step: FlowStep) -> list[str]:
    """Return each sentence once, even if it differs in its time: rate limits ask the same of several counters."""
    sentences: dict[str, str] = {}
    for sentence in step.sentences:
        sentences.setdefault(_TIME.sub("", sentence), sentence)
    times = Counter(_TIME.sub("", sentence) for sentence in step.sentences)
    return [
        f"{text.removesuffix('.')}, {times[key]} times." if times[key] > 1 else text for key, text in sentences.items()
    ]
