"""A network line to a server, which can go dead as a real one does: without a word."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

_PATIENCE: Final = 60  # seconds until a test gives up on what hangs


class Line:
    """Carries bytes between whoever connects and a server, until it is cut."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._ends: list[asyncio.StreamWriter] = []
        self._carrying: list[asyncio.Task[None]] = []
        #: A line that is dead takes connections and says nothing.
        self.is_dead = False
        self.port = 0
        self.connections = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        self.connections += 1
        self._ends.append(writer)
        if self.is_dead:
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        self._ends.append(far_writer)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            self._carrying.append(asyncio.create_task(_carry(source, sink)))

    def cut(self) -> None:
        """Carry nothing more on the connections that are open; nobody is told. New ones work."""
        for task in self._carrying:
            task.cancel()

    async def close(self) -> None:
        self.cut()
        for end in self._ends:
            end.close()
            with suppress(OSError):
                await end.wait_closed()


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while some := await source.read(65536):
            sink.write(some)
            await sink.drain()
        sink.close()


@asynccontextmanager
async def line_to(server_port: int, *, dead: bool = False) -> AsyncIterator[Line]:
    """Lay a line to a server on this machine."""
    tasks, line = asyncio.all_tasks(), Line(server_port)
    line.is_dead = dead
    listener = await asyncio.start_server(line.take, "127.0.0.1", 0)
    line.port = listener.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        listener.close()
        await line.close()
        async with asyncio.timeout(_PATIENCE):
            while asyncio.all_tasks() - tasks:  # a driver gives up its side beside us
                await asyncio.sleep(0.01)
