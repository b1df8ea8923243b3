"""Following a shopper through the API: what it says of them up to the date that the demo has come to."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from jalon.demo.api import Api, Moved, Noted, Profile, Touched
from jalon.stories import Story
from journey.errors import OurFault
from journey.touchpoint import Touchpoint
from plumbing.clock import monotonic

_LOOK_EVERY = 0.05
_PATIENCE = timedelta(seconds=60)

TOLD = frozenset({"pain_opened", "pain_resolved", "objection_raised", "objection_answered", "moment", "measured"})
"""The kinds of facts that a story is about."""

Item = Touched | Moved | Noted
Value = TypeVar("Value")


class News(NamedTuple):
    """What is new of a shopper, and which transitions no longer hold that were told before."""

    new: tuple[Moved | Noted, ...]
    gone: tuple[Moved, ...]


class Ending(NamedTuple):
    """Where a story has come to: where the shopper is, and how they came there."""

    profile: Profile
    transitions: tuple[Moved, ...]


class Follower:
    """Follows one story's shopper, who is several customers until they sign in somewhere."""

    def __init__(self, api: Api, story: Story) -> None:
        self.story = story
        self._api = api
        self._identifiers: dict[tuple[str, str], None] = {}
        self._told: dict[str, Moved | Noted] = {}

    async def news(self, touchpoint: Touchpoint) -> News:
        """Wait until the API has `touchpoint`; what it says of the time until then, and had not said before.

        Later times are left out: to Jalon the demo's touchpoints come late, and until the next one is there it rightly
        counts the silence up to today.
        """
        self._learn(touchpoint)

        async def look() -> list[Item] | None:
            items = await self._items()
            seen = {(item.source, item.id) for item in items if isinstance(item, Touched)}
            return items if (touchpoint.source, touchpoint.id) in seen else None

        return self._compare(await _await(look), touchpoint.occurred_at)

    async def ending(self, horizon: datetime) -> Ending:
        """Where the shopper is once everything is known that was sent before `horizon`."""
        kind, value = next(iter(self.story.found_by.items()))

        async def look() -> Profile | None:
            profile = await self._api.profile(kind, value)
            return profile if profile and profile.horizon > horizon and profile.settled else None

        profile = await _await(look)
        timeline = await self._api.timeline(profile.id)
        moved = (item for item in timeline.items if isinstance(item, Moved)) if timeline else ()
        return Ending(profile, tuple(moved))

    def _learn(self, touchpoint: Touchpoint) -> None:
        """Look the shopper up by what this touchpoint was known by: what finds them in the end, or else anything."""
        known = [(kind, value) for kind, value in touchpoint.identifiers.items() if kind in self.story.found_by]
        self._identifiers |= dict.fromkeys(known or touchpoint.identifiers.items())

    async def _items(self) -> list[Item]:
        """The timelines of all customers that the shopper is so far."""
        profiles = [await self._api.profile(kind, value) for kind, value in self._identifiers]
        timelines = [await self._api.timeline(id_) for id_ in dict.fromkeys(one.id for one in profiles if one)]
        items = [item for timeline in timelines if timeline for item in timeline.items]
        return sorted(items, key=lambda item: item.occurred_at)

    def _compare(self, items: list[Item], until: datetime) -> News:
        now = {_name(item): item for item in items if item.occurred_at <= until and not isinstance(item, Touched)}
        now = {name: item for name, item in now.items() if isinstance(item, Moved) or item.fact in TOLD}
        new = tuple(item for name, item in now.items() if name not in self._told)
        gone = tuple(item for name, item in self._told.items() if name not in now and isinstance(item, Moved))
        self._told = now
        return News(new, gone)


def _name(item: Item) -> str:
    """The same for the same thing said twice."""
    match item:
        case Moved():
            return item.id
        case Noted():
            return f"{item.journey} {item.fact} {item.name} {item.occurred_at}"
        case Touched():
            return f"{item.source} {item.id}"


async def _await(look: Callable[[], Awaitable[Value | None]]) -> Value:
    """The first answer that is one. Raises `OurFault` when none comes."""
    until = monotonic() + _PATIENCE.total_seconds()
    while (seen := await look()) is None:
        if monotonic() > until:
            raise OurFault(f"after {_PATIENCE.seconds} s the API does not know what was sent: does the stager run?")
        await asyncio.sleep(_LOOK_EVERY)
    return seen
