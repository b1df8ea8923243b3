"""A stager as a process, on a topic and a database of its own, and how far it has come."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Self

import asyncpg

from plumbing.clock import monotonic, now
from tests.support.command import run_jalon
from tests.support.ports import free_port
from tests.support.service import SECRET_KEY, Service
from tests.support.waiting import eventually

PATIENCE = timedelta(seconds=120)
BATCH = 200

_PASSED = """
SELECT (SELECT reached_at FROM horizon) > $1 AND NOT EXISTS (SELECT FROM outbox)
AND NOT EXISTS (SELECT FROM customers WHERE due_at <= (SELECT reached_at FROM horizon))
"""
_OTHER_BACKENDS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'jalon-stager' AND state LIKE $1
"""


class Work:
    """`records` of a topic to be staged into one database. Entered, it looks into that.

    `patience` is how long anything asked of it may take.
    """

    def __init__(
        self, database_url: str, log_url: str, topic: str, records: int, patience: timedelta = PATIENCE
    ) -> None:
        self.database_url = database_url
        self.log_url = log_url
        self.topic = topic
        self.records = records
        self.patience = patience
        self._environment = {
            "JALON_DATABASE_URL": database_url,
            "JALON_LOG_URL": log_url,
            "JALON_TOPIC": topic,
            "JALON_BATCH_SIZE": str(BATCH),
            "JALON_SECRET_KEY": SECRET_KEY,
        }

    async def __aenter__(self) -> Self:
        self._connection = await asyncpg.connect(self.database_url)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    def stager(self, port: int = 0, **settings: str) -> Service:
        """A stager; one of the same port as another before it is the same member of the group."""
        port = port or free_port()
        environment: Mapping[str, str] = {**self._environment, "JALON_STAGER_PORT": str(port), **settings}
        return Service("stager", port=port, environment=environment)

    async def staged(self) -> int:
        number: int = await self._connection.fetchval("SELECT coalesce(sum(next_offset), 0)::bigint FROM positions")
        return number

    async def reaches(self, number: int) -> None:
        """Wait until so many records are staged, and say so at once: what is to be cut short must not be over."""
        until = monotonic() + self.patience.total_seconds()
        while (staged := await self.staged()) < number:
            assert monotonic() < until, f"{staged} of {number} records are staged"

    async def pending(self) -> int:
        return self.records - await self.staged()

    async def finishes(self) -> None:
        """Wait until everything is staged and all that time causes has been told."""

        async def staged() -> bool:
            return await self.pending() <= 0

        await eventually(staged, self.patience)
        since = now()

        async def passed() -> bool:
            return bool(await self._connection.fetchval(_PASSED, since))

        await eventually(passed, self.patience)

    async def owners(self) -> set[str]:
        """The members who have claimed partitions last."""
        return {row["owner"] for row in await self._connection.fetch("SELECT owner FROM positions")}

    async def cut(self, state: str = "%") -> int:
        """End the stagers' connections whose state is like this; how many there were."""
        return len(await self._connection.fetch(_OTHER_BACKENDS, state))

    def export(self) -> str:
        """What `jalon export` writes."""
        done = run_jalon("export", environment=self._environment, within=self.patience)
        assert done.returncode == 0, done.stderr
        return done.stdout
