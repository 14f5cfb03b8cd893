"""The prompts of commands, at a real terminal."""

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

from app_modules import THREE_LINES, WriteModule, write_module
from servers import PATIENCE, SCRIPTS
from slow import mostly_slow

#: Each starts a process of its own, or applies migrations.
pytestmark = pytest.mark.slow

__all__ = ["write_module"]


#: Makes standard input the controlling terminal, whose Ctrl+C is a signal, and becomes the command.
TAKE_TERMINAL = """
import fcntl, os, sys, termios

fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def at_terminal(command: list[str], until: bytes, typed: bytes) -> tuple[int, bytes]:
    """Run a command at a terminal of its own, and type when it shows a text; returns its status and what it showed."""
    ours, theirs = pty.openpty()
    starter = [sys.executable, "-c", TAKE_TERMINAL, *command]
    with subprocess.Popen(starter, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        try:
            shown = _read(ours, until)
            os.write(ours, typed)
            shown += _read(ours, b"")
            return process.wait(PATIENCE), shown
        finally:
            process.kill()
            os.close(ours)


def _read(terminal: int, until: bytes) -> bytes:
    """Read up to a text, or to the end of the command."""
    shown = b""
    while not until or until not in shown:
        assert select.select([terminal], [], [], PATIENCE)[0], shown
        try:
            shown += os.read(terminal, 1024)
        except OSError:  # the command has ended
            break
    return shown


@pytest.mark.parametrize("command", mostly_slow(["create", "set-password"], quick=1))
def test_ctrl_c_ends_a_prompt_for_a_password(write_module: WriteModule, command: str) -> None:
    app = f"{write_module(THREE_LINES)}:app"
    quartlogin = str(SCRIPTS / "quartlogin")
    if command == "set-password":
        create = [quartlogin, "user", "create", "Ada", "--temporary", "--app", app]
        subprocess.run(create, check=True, capture_output=True, timeout=PATIENCE)

    status, shown = at_terminal([quartlogin, "user", command, "Ada", "--app", app], b"Password:", b"\x03")

    assert (status, b"Aborted!" in shown, b"Traceback" in shown) == (1, True, False)
    assert Path("app.sqlite3").exists() is (command == "set-password")
