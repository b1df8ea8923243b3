"""The words of ASGI, for what is answered without a framework."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Application(Protocol):
    """An `App` that is started before the first request and stopped after the last one."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    async def start(self) -> None:
        """Connect. Raises `Misconfigured`."""

    async def stop(self) -> None:
        """Disconnect, also after a start that failed."""
