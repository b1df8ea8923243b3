"""A whole Jalon on this machine: database, log, and the three services as child processes that are looked after."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from jalon.local.child import Child
from jalon.local.folder import Folder, Running
from jalon.local.ports import require_free
from plumbing.clock import monotonic
from plumbing.embedded.postgres import EmbeddedPostgres
from plumbing.settings import Settings
from plumbing.store.faults import store_faults
from plumbing.store.migrate import migrate

KAFKA_EMBEDDED = "kafka+embedded:"
"""The log URL that asks for a broker of our own."""

READY_WITHIN = timedelta(minutes=2)
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_STEADY = 60.0
"""Seconds after which a child counts as running well again."""

Report = Callable[[str], None]


@asynccontextmanager
async def machine(settings: Settings, folder: Folder, report: Report) -> AsyncIterator[Running]:
    """Run everything while the body runs; then stop it in order: ingest, stager, API, log, database.

    `settings` name the database and the log, or leave them to this machine (empty, `kafka+embedded:`). `report` gets a
    sentence for each step and each mishap. Raises `OurFault` when something cannot start; what ran is stopped.
    """
    require_free(settings)
    async with AsyncExitStack() as stack:
        database_url, log_url = await _ground(settings, folder, report, stack)
        running = _running(settings, database_url, log_url)
        environment = _environment(settings, running)
        grace = settings.drain_timeout + timedelta(seconds=5)
        children = [
            Child("api", running.api, environment, folder.logs / "api.log"),
            Child("stager", running.stager, environment, folder.logs / "stager.log"),
            Child("ingest", running.ingest, environment, folder.logs / "ingest.log"),
        ]
        for child in children:
            stack.push_async_callback(child.stop, grace)
            await child.start()
        report("starting ingest, stager and API")
        await _all_ready(children)
        stack.callback(folder.note_running, None)
        folder.note_running(running)
        async with _looked_after(children, report):
            yield running


async def _all_ready(children: list[Child]) -> None:
    """Wait until all answer. Raises `OurFault` as soon as one of them cannot."""
    waits = [asyncio.create_task(child.ready(READY_WITHIN)) for child in children]
    try:
        for wait in asyncio.as_completed(waits):
            await wait
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def _ground(settings: Settings, folder: Folder, report: Report, stack: AsyncExitStack) -> tuple[str, str]:
    """Have a database of the newest schema and a log; their URLs."""
    database_url = settings.database_url
    if not database_url:
        report("starting Postgres")
        server = await stack.enter_async_context(EmbeddedPostgres(folder.postgres))
        database_url = server.url
    report("bringing the schema up to date")
    with store_faults():
        await migrate(database_url)
    if settings.log_url != KAFKA_EMBEDDED:
        return database_url, settings.log_url or database_url
    report("starting Kafka (the first time its jars are downloaded)")
    from plumbing.embedded.kafka import EmbeddedKafka  # noqa: PLC0415 (an optional extra)

    broker = await stack.enter_async_context(EmbeddedKafka(folder.kafka))
    return database_url, f"kafka://{broker.bootstrap}"


def _environment(settings: Settings, running: Running) -> dict[str, str]:
    """What the children are told; whatever else is in our own environment they inherit."""
    assert settings.secret_key is not None
    return {
        "JALON_DATABASE_URL": running.database_url,
        "JALON_LOG_URL": running.log_url,
        "JALON_SECRET_KEY": settings.secret_key.get_secret_value(),
        "JALON_BOOTSTRAP_KEYS": settings.bootstrap_keys.get_secret_value(),
        "JALON_HOST": settings.host,
        "JALON_API_PORT": str(settings.api_port),
        "JALON_INGEST_PORT": str(settings.ingest_port),
        "JALON_STAGER_PORT": str(settings.stager_port),
    }


def _running(settings: Settings, database_url: str, log_url: str) -> Running:
    """With URLs that work on this machine: one cannot connect to "all addresses"."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104 (compared, not bound)
    return Running(
        api=f"http://{host}:{settings.api_port}",
        ingest=f"http://{host}:{settings.ingest_port}",
        stager=f"http://{host}:{settings.stager_port}",
        database_url=database_url,
        log_url=log_url,
    )


@asynccontextmanager
async def _looked_after(children: list[Child], report: Report) -> AsyncIterator[None]:
    """Start each child again that ends, until the body has ended."""
    keepers = [asyncio.create_task(_keep(child, report)) for child in children]
    try:
        yield
    finally:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.wait(keepers)


async def _keep(child: Child, report: Report) -> None:
    """Start the child again whenever it ends; the wait before doubles each time, until it has run well for a while."""
    wait = _FIRST_WAIT
    while True:
        started = monotonic()
        code = await child.ended()
        wait = _FIRST_WAIT if monotonic() - started > _STEADY else wait
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}: {child.last_words()}"
        report(f"{child.service} {how}; starting it again in {wait:g} s")
        await asyncio.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT)
        await child.start()
        report(f"{child.service} runs again")
