"""One customer, by any identifier or by any id: the read that everything else waits for.

Requests that wait in the same turn of the event loop are answered by one query. Many small queries cost a round trip
and a turn of the pool each; one of fifty costs hardly more than one of one.
"""

import asyncio
from datetime import datetime
from typing import NamedTuple

from asyncpg import Record

from journey.errors import StoreUnavailable
from plumbing.store.faults import AWAY
from plumbing.store.in_force import IN_FORCE
from plumbing.store.reading.connection import Pool
from plumbing.store.reading.identifiers import Known

QUERIES_IN_FLIGHT = 2
"""While one query is under way another one gathers; more of them at once would only be smaller ones."""

ASKED_AT_ONCE = 200

_FIND = f"""
SELECT asked.place, found.customer, found.state, found.revision, horizon.reached_at, {IN_FORCE},
       known.digests, known.kinds, known.sealed, known.firsts
FROM unnest($1::bytea[], $2::boolean[]) WITH ORDINALITY AS asked (digest, as_id, place)
JOIN identifiers AS own ON own.digest = asked.digest
CROSS JOIN LATERAL (
    SELECT CASE WHEN own.kind = ANY ($3::text[]) THEN (
        SELECT owner FROM holdings WHERE device = own.digest AND owner IS NOT NULL
        ORDER BY since_at, since_sequence, since_source, since_id LIMIT 1
    ) ELSE (
        SELECT owner FROM holdings WHERE device = own.digest AND owner IS NOT NULL
        ORDER BY since_at DESC, since_sequence DESC, since_source DESC, since_id DESC LIMIT 1
    ) END AS owner
) AS held
LEFT JOIN identifiers AS holder ON holder.digest = held.owner
CROSS JOIN LATERAL (
    SELECT CASE WHEN own.customer IS NULL AND held.owner IS NULL THEN (
        SELECT touchpoints.customer FROM carried JOIN touchpoints USING (source, id)
        WHERE carried.identifier = own.digest
        ORDER BY carried.occurred_at, carried.sequence, source, id LIMIT 1
    ) END AS customer
) AS bearer
JOIN LATERAL (
    SELECT customer, state, revision FROM customers
    WHERE customer IN (own.customer, holder.customer, bearer.customer) AND octet_length(state) > 1
    ORDER BY (customer = own.customer) = asked.as_id DESC LIMIT 1
) AS found ON true
CROSS JOIN LATERAL (
    SELECT array_agg(digest) AS digests, array_agg(kind) AS kinds, array_agg(sealed) AS sealed,
           array_agg(first_at) AS firsts
    FROM identifiers WHERE customer = found.customer
) AS known
CROSS JOIN horizon
"""  # noqa: S608 - our own text
# The state of nobody is at most one byte. An id means first the customer whose identifier minted it; an identifier
# means first the one who holds it now (a device: the last who signed in; a reference: the first who came with it). One
# that nobody holds and that decides nothing by itself means whoever its first touchpoint belongs to.


class Found(NamedTuple):
    """A customer's row. `customer` is the store's own number for them: it never goes outside.

    `in_force` names the versions by which the row was written: see `plumbing/store/in_force.py`.
    """

    customer: int
    state: bytes
    revision: int
    horizon: datetime
    in_force: str
    identifiers: tuple[Known, ...]


class Customers:
    """Finds customers; shared by all requests of a process."""

    def __init__(self, pool: Pool, references: list[str]) -> None:
        """`references` are the kinds of identifiers that name a deal, which its first bearer keeps."""
        self._pool = pool
        self._references = references
        self._waiting: list[tuple[bytes, bool, asyncio.Future[Found | None]]] = []
        self._under_way: set[asyncio.Task[None]] = set()

    async def find(self, digest: bytes, *, as_id: bool = False) -> Found | None:
        """The customer that the identifier of this digest stands for now (`as_id`: whose id this is).

        None when nobody is known by it. Raises `StoreUnavailable`.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Found | None] = loop.create_future()
        self._waiting.append((digest, as_id, answer))
        if len(self._waiting) == 1:
            loop.call_soon(self._depart)
        return await answer

    def _depart(self) -> None:
        while self._waiting and len(self._under_way) < QUERIES_IN_FLIGHT:
            asked, self._waiting = self._waiting[:ASKED_AT_ONCE], self._waiting[ASKED_AT_ONCE:]
            task = asyncio.get_running_loop().create_task(self._ask(asked))
            self._under_way.add(task)
            task.add_done_callback(self._arrive)

    def _arrive(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        self._depart()

    async def _ask(self, asked: list[tuple[bytes, bool, "asyncio.Future[Found | None]"]]) -> None:
        try:
            digests, as_ids = [digest for digest, _, _ in asked], [as_id for _, as_id, _ in asked]
            rows = await self._pool.fetch(_FIND, digests, as_ids, self._references)
        except AWAY as error:
            _refuse(asked, error)
            return
        except BaseException as error:
            _refuse(asked, error)
            raise
        found = {row[0]: row for row in rows}
        for place, (_, _, answer) in enumerate(asked, 1):
            if not answer.done():
                row = found.get(place)
                answer.set_result(None if row is None else _found(row))


def _refuse(asked: list[tuple[bytes, bool, "asyncio.Future[Found | None]"]], error: BaseException) -> None:
    for _, _, answer in asked:
        if not answer.done():
            unavailable = StoreUnavailable()
            unavailable.__cause__ = error
            answer.set_exception(unavailable)


def _found(row: Record) -> Found:
    known = tuple(map(Known._make, zip(row[6], row[7], row[8], row[9], strict=True)))
    return Found(row[1], row[2], row[3], row[4], row[5], known)
