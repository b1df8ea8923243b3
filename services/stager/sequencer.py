"""The sequencer: numbers the messages of committed batches and wakes up those who wait for them."""

from plumbing.store import feed
from plumbing.store.engine import Engine, transaction

AT_ONCE = 1_000


async def sequence(engine: Engine) -> bool:
    """Move committed messages to the feed; whether there may be more. Safe in every stager: they take turns."""
    async with transaction(engine) as driver:
        moved = await feed.number(driver, AT_ONCE)
    if moved:
        async with transaction(engine) as driver:
            await feed.wake_readers(driver)
    return moved == AT_ONCE
