"""A TCP port of the loopback address in front of a Unix socket: for clients that know only hosts and ports."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path


@asynccontextmanager
async def tcp_port_of(unix_socket: Path) -> AsyncIterator[int]:
    """The port, as long as the context lasts."""
    open_now: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_now.add(task)
        far_reader, far_writer = await asyncio.open_unix_connection(unix_socket)
        try:
            await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))
        finally:
            far_writer.close()
            writer.close()
            open_now.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in open_now:
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)
        await asyncio.sleep(0)  # lets the closed transports go


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # the other side has gone: nothing more to pass on
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
