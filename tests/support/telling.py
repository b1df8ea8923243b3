"""A story told to a stager's parts twice: as it came, while time passes, and backwards, when all of it is long over."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from journey.touchpoint import Touchpoint
from tests.support.lives import Said
from tests.support.place import Place


class Line:
    """One customer of an export."""

    def __init__(self, exported: bytes) -> None:
        self._members: dict[str, Any] = msgspec.json.decode(exported)

    @property
    def identifiers(self) -> Sequence[str]:
        """`kind:value` of each."""
        names: Sequence[str] = self._members["identifiers"]
        return names

    @property
    def touchpoints(self) -> Sequence[str]:
        """Their ids, in order."""
        return [id_ for _, id_ in self._members["touchpoints"]]

    def path(self, journey: str = "customer-journey") -> list[str]:
        """Each transition that holds, as `rule cause stage`; the cause is a touchpoint's id, or `time`."""
        return [
            f"{one['rule']} {one['cause'].get('id', 'time')} {one['to_stage']}"
            for one in self._members["transitions"]
            if one["journey"] == journey
        ]

    def instants(self, journey: str = "customer-journey") -> list[datetime]:
        """When each of them happened."""
        moves = [one for one in self._members["transitions"] if one["journey"] == journey]
        return [datetime.fromisoformat(one["occurred_at"]) for one in moves]

    def here(self, journey: str = "customer-journey") -> str:
        """Where they are now and why, as `stage run rule cause`, and the persona if they have one."""
        found = self._members["journeys"][journey]
        said = [found["stage"], str(found["run"]), found["rule"], found["cause"].get("id", "time")]
        return " ".join([*said, *filter(None, [found["persona"]])])

    def facts(self, kind: str, journey: str = "customer-journey") -> list[str]:
        """Facts of one kind, as `name cause stage`."""
        return [
            f"{one['name']} {one['cause'].get('id', 'time')} {one['stage']}"
            for one in self._members["facts"]
            if one["kind"] == kind and one["journey"] == journey
        ]


class Told:
    """What both tellings came to."""

    def __init__(self, export: Sequence[bytes]) -> None:
        self.lines = [Line(one) for one in export]

    def who(self, id_: str) -> Line:
        """Whose a touchpoint is."""
        (found,) = [line for line in self.lines if id_ in line.touchpoints]
        return found

    def path(self, id_: str, journey: str = "customer-journey") -> list[str]:
        return self.who(id_).path(journey)


async def tell(
    place: Place, touchpoints: Sequence[Touchpoint], until: datetime | None = None, says: Sequence[Said] = ()
) -> Told:
    """Tell both ways, up to `until` (a day after the last of it), and assert that they come to the same.

    As it came: one batch for each touchpoint in the order of `received_at`, up to which time has passed. The way back:
    from the last that came to the first, with the horizon at `until` all the time. What is said comes last.
    """
    came = sorted(touchpoints, key=lambda one: one.received_at)
    ends = until or max(max(one.received_at, one.occurred_at) for one in came) + timedelta(days=1)
    await place.empty(ends)
    for one in came[::-1]:
        await place.stage([one])
    backwards = await _end(place, ends, says)
    await place.empty(came[0].received_at)
    for one in came:
        await place.let_pass(one.received_at)
        await place.stage([one])
    assert await _end(place, ends, says) == backwards
    return Told(backwards)


async def _end(place: Place, ends: datetime, says: Sequence[Said]) -> list[bytes]:
    await place.let_pass(ends)
    for said in says:
        await place.say(said)
    assert await place.agrees()
    return await place.export()
