"""Serving an app with hypercorn, in one or several processes, until a signal stops them."""

import asyncio
import signal
import socket
import sys
import warnings
from collections.abc import Callable
from logging import INFO, Formatter, StreamHandler, getLogger
from multiprocessing import connection, get_context
from typing import Any, Final, cast

from hypercorn.asyncio import serve
from hypercorn.config import Config, Sockets
from hypercorn.typing import Framework
from hypercorn.utils import LifespanFailureError
from quart import Quart

from quartlogin.accounts import AUDIT_LOGGER, get_accounts
from quartlogin.telemetry.processes import PROCESS_NUMBER

from .app_errors import closing_after_failure, describe, startup_errors

#: Bytes of a request's head.
MAX_HEAD_SIZE: Final = 16 * 1024
#: Seconds from the start of a connection, or from the last response, until a request's head has arrived.
HEAD_TIMEOUT: Final = 5
#: Seconds that a client may leave our data unread, or unacknowledged because it is gone.
READ_TIMEOUT: Final = 10
#: Connections waiting to be accepted.
BACKLOG: Final = 512

_STOP_TIMEOUT: Final = 4  # seconds for open requests and websockets to end after a stop signal
_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class _Config(Config):
    """Hypercorn's configuration, with sockets that drop clients which do not read."""

    def create_sockets(self) -> Sockets:
        """Open the listening sockets; connections inherit their options."""
        sockets = super().create_sockets()
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            for one in sockets.insecure_sockets:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, READ_TIMEOUT * 1000)
        return sockets


def config_for(bind: list[str], workers: int, max_message_size: int | None) -> Config:
    """Return Hypercorn's configuration, with limits on the resources that a client can use.

    Args:
        bind: The addresses to listen on, each with its port.
        workers: The number of processes.
        max_message_size: Bytes of a websocket message; `None`: Hypercorn's own limit.
    """
    config = _Config()
    config.bind = bind
    config.workers = workers
    config.include_server_header = False
    config.loglevel = "WARNING"
    config.h11_max_incomplete_size = config.h2_max_header_list_size = MAX_HEAD_SIZE
    config.keep_alive_timeout = HEAD_TIMEOUT
    config.backlog = BACKLOG
    if max_message_size is not None:
        config.websocket_max_message_size = max_message_size
    return config


def run(config: Config, make_app: Callable[[], Quart]) -> int:
    """Serve until SIGINT or SIGTERM.

    Hypercorn's own `run` would add the current folder to `sys.path`, and from Python 3.12 on it waits for open
    websockets for as long as browsers keep them.

    Args:
        config: The addresses to listen on, and the number of processes.
        make_app: Returns the app, in each process; it can be pickled.

    Returns:
        The exit status: 0, or 1 if a process ended by itself.
    """
    if config.workers > 1:
        return _serve_in_processes(config, make_app)
    _serve_here(config, make_app)
    return 0


def _serve_here(config: Config, make_app: Callable[[], Quart], number: int = 0) -> None:
    # Hypercorn's sockets need `workers` to share a port, and it warns about that.
    warnings.filterwarnings("ignore", message="The config `workers` has no affect")
    _show_audit_log()
    app = make_app()
    app.config[PROCESS_NUMBER] = number
    with startup_errors(app) as errors:
        try:
            asyncio.run(_serve(app, config))
        except LifespanFailureError:
            sys.exit(f"Error: Cannot serve the app: {describe(errors[0])}")


def _show_audit_log() -> None:
    """Write the audit log to standard error, one line of JSON for each event."""
    audit = getLogger(AUDIT_LOGGER)
    handler = StreamHandler()
    handler.setFormatter(Formatter("%(message)s"))
    audit.addHandler(handler)
    audit.setLevel(INFO)
    audit.propagate = False


async def _serve(app: Quart, config: Config) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(_log_except_lost_clients)
    for number in _STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    async def wait_for_the_end() -> None:
        await stop.wait()
        get_accounts(app).login_manager.sockets.close_all()

    serving = asyncio.ensure_future(serve(cast(Framework, app), config, shutdown_trigger=wait_for_the_end))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait({serving}, timeout=_STOP_TIMEOUT)
    stopping.cancel()
    if not serving.done():  # a client keeps its connection open
        serving.cancel()
        await asyncio.wait({serving})
        async with closing_after_failure(app):
            await app.shutdown()
        return
    async with closing_after_failure(app):
        await serving


def _log_except_lost_clients(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log unhandled errors, except of lost connections, which are no bug and would fill the log."""
    if not ("transport" in context and isinstance(context.get("exception"), ConnectionError | TimeoutError)):
        loop.default_exception_handler(context)


def _serve_in_processes(config: Config, make_app: Callable[[], Quart]) -> int:
    """Start the processes, and end them all at a signal or when one of them ends.

    Each listens for itself: Hypercorn's sockets share a port if there is more than one worker.
    """
    context = get_context("spawn")
    processes = [
        context.Process(target=_serve_here, args=(config, make_app, number)) for number in range(config.workers)
    ]
    is_asked_to_stop = False

    def end() -> None:
        for process in processes:
            if process.is_alive():
                process.terminate()

    def stop(*_: object) -> None:
        nonlocal is_asked_to_stop
        is_asked_to_stop = True
        end()

    for number in _STOP_SIGNALS:
        signal.signal(number, stop)
    for process in processes:
        if not is_asked_to_stop:
            process.start()
    connection.wait([process.sentinel for process in processes if process.pid is not None])
    end()
    for process in processes:
        if process.pid is not None:
            process.join()
    return 0 if is_asked_to_stop else 1
