"""Real servers for tests: the application in a process of its own, and a PostgreSQL."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(sys.executable).parent
PATIENCE = 60  # seconds until a test gives up on what hangs


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Server:
    """A running process that listens."""

    process: subprocess.Popen[str]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def peak(self) -> int:
        """The most memory that it had at once since `forget_peak`, in bytes (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def forget_peak(self) -> int:
        """Measure the peak anew; returns the memory that it has now."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        return self.peak()

    def stop(self) -> None:
        """Ask it to end as a service manager does, and wait until it has; one that goes on is an error."""
        self.process.terminate()
        self.process.wait(PATIENCE)


@contextmanager
def running(command: list[str], port: int, folder: Path, **environment: str) -> Iterator[Server]:
    """Run a command until it listens on the port, and end it afterwards."""
    log = folder / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environment}, stdout=output, stderr=output, text=True
        )
    try:
        _wait_until_it_listens(process, port, log)
        yield Server(process, port, log)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(PATIENCE)


def _wait_until_it_listens(process: subprocess.Popen[str], port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, f"The server ended with {process.returncode}:\n{log.read_text()}"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"The server does not listen:\n{log.read_text()}")


def postgres_binaries() -> Path | None:
    """Return the folder with initdb, also where Debian hides it from the PATH."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return folders[-1].parent if folders else None


@dataclass
class Postgres:
    """A running PostgreSQL server."""

    port: int
    #: Runs a program of PostgreSQL's, such as `pg_ctl`, as the server's user.
    run: Callable[..., None]
    data: Path

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgresql://test@127.0.0.1:{self.port}/{database}"

    def stop(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self.run("pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")

    def start(self) -> None:
        self.run("pg_ctl", "-D", self.data, "-w", "-l", self.data.parent / "log", "-o", self._settings, "start")

    def promote(self) -> None:
        """Make a standby a primary: the failover."""
        self.run("pg_ctl", "-D", self.data, "-w", "promote")

    @property
    def _settings(self) -> str:
        return f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories='' -c fsync=off"


@contextmanager
def postgres(binaries: Path, folder: Path) -> Iterator[Postgres]:
    """Run a PostgreSQL with an empty database in this folder."""
    server = _server_in(binaries, folder)
    server.run("initdb", "-D", server.data, "-U", "test", "-A", "trust", "-E", "UTF8")
    with _started(server):
        yield server


@contextmanager
def standby_of(primary: Postgres, binaries: Path, folder: Path) -> Iterator[Postgres]:
    """Run a PostgreSQL that follows another one, in this folder."""
    server = _server_in(binaries, folder)
    source = f"host=127.0.0.1 port={primary.port} user=test"
    server.run("pg_basebackup", "-D", server.data, "-d", source, "-R", "-X", "stream", "-c", "fast")
    with _started(server):
        yield server


def _server_in(binaries: Path, folder: Path) -> Postgres:
    as_user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    if as_user:
        owner = pwd.getpwnam(as_user)
        os.chown(folder, owner.pw_uid, owner.pw_gid)

    def run(program: str, *arguments: str | Path) -> None:
        command = [binaries / program, *arguments]
        done = subprocess.run(command, user=as_user, cwd=folder, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    return Postgres(free_port(), run, folder / "data")


@contextmanager
def _started(server: Postgres) -> Iterator[None]:
    server.start()
    try:
        yield
    finally:
        server.stop()
