"""The processes of an app that can be killed, and a browser whose requests may get no answer."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from client import NEW_PASSWORD, PASSWORD
from servers import PATIENCE


class Processes:
    """The processes of the app, which share a listening socket."""

    def __init__(self, parent: "subprocess.Popen[str]", url: str) -> None:
        self._parent = parent
        self.url = url
        self.running: list[int] = []

    def start(self) -> int:
        process = int(self._tell("start"))
        self.running.append(process)
        return process

    def kill(self, process: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)

    def wait(self, process: int) -> None:
        """Wait until a process is killed."""
        ended_by = int(self._tell(f"wait {process}"))
        self.running.remove(process)
        assert ended_by == -signal.SIGKILL, ended_by

    def end(self) -> None:
        for process in [*self.running]:
            self.kill(process)
            self.wait(process)

    def _tell(self, line: str) -> str:
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        print(line, file=self._parent.stdin, flush=True)
        return self._parent.stdout.readline()


@contextmanager
def processes(folder: Path, *databases: str) -> Iterator[Processes]:
    """Be ready to serve the app, in this folder."""
    with (folder / "log").open("w") as log, socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        listener.set_inheritable(True)
        command = [sys.executable, str(Path(__file__).parent / "killed_app.py"), str(listener.fileno()), *databases]
        with subprocess.Popen(
            command,
            cwd=folder,
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as parent:
            ready = Processes(parent, f"http://localhost:{listener.getsockname()[1]}")
            try:
                yield ready
            finally:
                ready.end()
                assert parent.stdin is not None
                parent.stdin.close()
    assert "Traceback" not in (folder / "log").read_text(), (folder / "log").read_text()


class Browser:
    """A browser whose requests may get no answer."""

    def __init__(self, url: str) -> None:
        transport = httpx.HTTPTransport(verify=False, limits=httpx.Limits(max_keepalive_connections=0))
        address = ".".join(["10", *(str(random.randrange(250)) for _ in range(3))])
        self._client = httpx.Client(base_url=url, headers={"Address": address}, timeout=PATIENCE, transport=transport)

    def get(self, path: str, kill_at: str = "") -> httpx.Response | None:
        return self._send(self._client.build_request("GET", path, headers={"Kill-At": kill_at}))

    def fill_in(self, path: str, kill_at: str = "", **fields: str) -> httpx.Response | None:
        """Open a page and send its form; `None` without an answer."""
        page = self.get(path)
        if page is None:
            return None
        token = re.search(r'name="csrf_token" value="(\w+)"', page.text)
        assert token, (path, page.status_code, page.headers.get("Location"), page.text)
        data = {"csrf_token": token[1], **fields}
        return self._send(self._client.build_request("POST", path, data=data, headers={"Kill-At": kill_at}))

    def register(self, name: str, password: str = PASSWORD, kill_at: str = "") -> httpx.Response | None:
        return self.fill_in("/register", kill_at, username=name, password=password)

    def sign_in(self, name: str, password: str = PASSWORD, kill_at: str = "") -> httpx.Response | None:
        return self.fill_in("/login", kill_at, username=name, password=password)

    def change_password(self, kill_at: str = "") -> httpx.Response | None:
        return self.fill_in("/account/password", kill_at, current_password=PASSWORD, new_password=NEW_PASSWORD)

    def delete(self, kill_at: str = "") -> httpx.Response | None:
        return self.fill_in("/account/delete", kill_at, password=PASSWORD)

    def who(self) -> str:
        """Return who is signed in; empty: nobody."""
        page = self.get("/me")
        assert page is not None
        return page.text if page.status_code == httpx.codes.OK else ""

    def close(self) -> None:
        self._client.close()

    def _send(self, request: httpx.Request) -> httpx.Response | None:
        try:
            answer = self._client.send(request)
        except httpx.TransportError:
            return None
        assert answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR, answer.text
        return answer
