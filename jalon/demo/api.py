"""The demo as a reader: what it asks Jalon's API, and what it needs of the answers."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from journey.errors import OurFault
from journey.grammar import Label


class Touched(msgspec.Struct, frozen=True, tag="touchpoint", tag_field="kind"):
    """A touchpoint of a timeline."""

    occurred_at: datetime
    source: str
    id: str


class Moved(msgspec.Struct, frozen=True, tag="transition", tag_field="kind"):
    """A transition of a timeline."""

    occurred_at: datetime
    id: str
    journey: str
    run: int
    from_label: Label | None
    to_label: Label | None
    to_stage: str
    rule: str
    rule_label: Label | None
    cause: Mapping[str, Any]


class Noted(msgspec.Struct, frozen=True, tag="fact", tag_field="kind"):
    """A fact of a timeline: `fact` is what kind of one, `name` the definition's word for it."""

    occurred_at: datetime
    journey: str
    fact: str
    name: str
    label: Label | None
    detail: Mapping[str, Any]


class Named(msgspec.Struct, frozen=True):
    """Something of a definition, by its name and label."""

    name: str
    label: Label


class Awaited(msgspec.Struct, frozen=True):
    """Something that time will bring, or (None) not."""

    due_at: datetime | None = None


class Where(msgspec.Struct, frozen=True):
    """Where a customer is in one journey."""

    journey: str
    stage: Named
    run: int
    since: datetime
    persona: Named | None
    actions: tuple[Named, ...]
    dead_time: Awaited
    next: tuple[Awaited, ...]


class Profile(msgspec.Struct, frozen=True):
    """A customer now: true of the instant `horizon`."""

    id: str
    journeys: tuple[Where, ...]
    horizon: datetime

    @property
    def settled(self) -> bool:
        """Whether nothing is overdue: all that time should have brought by the horizon has been written."""
        due = [one.due_at for where in self.journeys for one in (where.dead_time, *where.next)]
        return all(at is None or at > self.horizon for at in due)


class Timeline(msgspec.Struct, frozen=True):
    """All that happened to a customer, in order."""

    items: tuple[Touched | Moved | Noted, ...]


Answer = TypeVar("Answer", Profile, Timeline)


class Api:
    """Asks with one token. Raises `OurFault` when the API does not answer as it should."""

    def __init__(self, client: httpx.AsyncClient, url: str, token: str) -> None:
        self._client = client
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}

    async def profile(self, kind: str, value: str) -> Profile | None:
        """Whom this identifier names now; None when nobody was heard of by it."""
        return await self._get(f"/v1/customers/by/{kind}/{quote(value, safe='')}", Profile)

    async def timeline(self, customer: str) -> Timeline | None:
        """The customer's timeline (500 items at most), by one of their ids."""
        return await self._get(f"/v1/customers/{customer}/timeline?facts=true&limit=500", Timeline)

    async def _get(self, path: str, kind: type[Answer]) -> Answer | None:
        try:
            answer = await self._client.get(f"{self._url}{path}", headers=self._headers)
        except httpx.TransportError as error:
            raise OurFault(f"the API does not answer: {type(error).__name__}") from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.status_code != httpx.codes.OK:
            raise OurFault(f"the API answers {answer.status_code}")
        return msgspec.json.decode(answer.content, type=kind)
