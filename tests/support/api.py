"""The API served on a port of its own, in this process, on a real database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from plumbing.settings import Settings, load
from services.api.app import serve
from services.serving.server import listen
from tests.support.service import SECRET_KEY
from tests.support.waiting import eventually

READ, PERSONAL = "reads-only", "sees-all"
KEYS = f"api:plain:read:{READ},api:personal:read+pii+admin:{PERSONAL},write:shop:website:writes"


def api_settings(database_url: str) -> Settings:
    return load(database_url=database_url, secret_key=SECRET_KEY, bootstrap_keys=KEYS)


def bearing(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@asynccontextmanager
async def serving_api(database_url: str, *, wait: bool = True) -> AsyncIterator[str]:
    """The API's address; it is ready (unless not to `wait` for that), and it stops in order when this is left."""
    listener, stop = listen("127.0.0.1", 0), asyncio.Event()
    port = listener.getsockname()[1]
    served = asyncio.create_task(serve(api_settings(database_url), listener, stop))
    url = f"http://127.0.0.1:{port}"

    async def ready() -> bool:
        if served.done():
            served.result()
        return (await client.get("/readyz")).status_code == 200

    try:
        async with httpx.AsyncClient(base_url=url) as client:
            if wait:
                await eventually(ready)
        yield url
    finally:
        stop.set()
        await served
