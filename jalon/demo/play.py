"""Playing the script: sends what happened in the order of dates, and tells what becomes of the four shoppers."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import msgspec

from jalon.demo.api import Api
from jalon.demo.follow import Follower
from jalon.demo.script import Scene, Script
from jalon.demo.telling import tell, tell_ending
from jalon.sending import BATCH, Sender
from journey.errors import OurFault
from journey.touchpoint import Touchpoint
from plumbing.clock import monotonic, now

Senders = Mapping[str, Sender]
"""Who sends for each source."""


class Player:
    """Plays one script: `play` it, then `end` it."""

    def __init__(self, script: Script, senders: Senders, api: Api) -> None:
        self._script = script
        self._senders = senders
        self._followers = {story.story: Follower(api, story) for story in script.stories}

    async def play(self, length: timedelta, advance: Callable[[str], None]) -> None:
        """Play everything in about `length` or as long as it takes; `advance` is called with the date of each scene."""
        await self._send(self._script.before)
        pause = length.total_seconds() / len(self._script.scenes)
        for scene in self._script.scenes:
            next_at = monotonic() + pause
            await self._play(scene)
            advance(f"{scene.touchpoint.occurred_at:%Y-%m-%d}")
            await asyncio.sleep(max(0.0, next_at - monotonic()))
        await self._send(self._script.after)

    async def end(self) -> None:
        """Tell where each story has come to, once all that was sent is known."""
        sent_at = now()
        for story in self._script.stories:
            tell_ending(story, await self._followers[story.story].ending(sent_at))

    async def _play(self, scene: Scene) -> None:
        await self._send(scene.meanwhile)
        await self._send((scene.touchpoint,))
        news = await self._followers[scene.story.story].news(scene.touchpoint)
        tell(scene.story, scene.touchpoint.occurred_at, news)

    async def _send(self, touchpoints: Sequence[Touchpoint]) -> None:
        """Send each source's touchpoints with its own key, in order."""
        for source, sender in self._senders.items():
            lines = [_line(one) for one in touchpoints if one.source == source]
            for start in range(0, len(lines), BATCH):
                if await sender.send(lines[start : start + BATCH]):
                    raise OurFault("ingest refuses a touchpoint of the demo")


def _line(touchpoint: Touchpoint) -> bytes:
    """The touchpoint as its source tells it: who sends it says the key, when it was received says ingest."""
    told = msgspec.to_builtins(touchpoint)
    del told["source"], told["received_at"]
    return msgspec.json.encode(told)
