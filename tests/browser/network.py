"""A network between a browser and a server, which a test can break."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class Network:
    """What lies between browser and server: a proxy whose cable can be pulled, and put into another server.

    Args:
        server: the address to which it leads.
    """

    def __init__(self, server: str) -> None:
        self._cut = False
        self.lead_to(server)
        self._writers: set[asyncio.StreamWriter] = set()
        self.url = ""

    @asynccontextmanager
    async def up(self) -> AsyncIterator["Network"]:
        listener = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.url = f"http://localhost:{listener.sockets[0].getsockname()[1]}/"
        try:
            yield self
        finally:
            self.cut()
            listener.close()

    def cut(self) -> None:
        """Break every connection without a word, and let none begin."""
        self._cut = True
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        self._cut = False

    def lead_to(self, server: str) -> None:
        """Connections from now on go there."""
        address = urlsplit(server)
        self._server = (str(address.hostname), int(address.port or 0))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection(*self._server)
        except OSError:  # nobody listens there now
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        await asyncio.gather(self._copy(reader, back), self._copy(there, writer))
        self._writers -= {writer, back}

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()
