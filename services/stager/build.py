"""Building versions beside those in force: every customer folded again, in chunks; then the switch.

    building ──► built ──► activated        dropped: with the reason, or another version was activated
        ▲──────────┘ a switch that finds too much out of date

A chunk is one transaction that holds the build's row, so builders (stagers, commands) take turns, and a build goes on
where it was when one is killed. Nothing that is live is touched or locked before the switch. What changes meanwhile is
found by its revision and folded again, at the latest inside the switch, while all stand still.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from journey.errors import DoesNotFit, InvalidDefinition
from journey.fold import elapse
from journey.identity import Kinds
from journey.machine import Journeys
from journey.outcomes import Transition
from journey.state import NOBODY, CustomerState, decode_state, encode_state
from plumbing import clock
from plumbing.store import builds, definitions, feed, horizon, switching, touchpoints
from plumbing.store.build_requests import beside
from plumbing.store.builds import REPLAY, Beside, Build, Customer
from plumbing.store.engine import Driver, Engine, transaction
from plumbing.store.feed import Message
from plumbing.store.told import Stay
from plumbing.telemetry import Action, log
from services.stager.folding import Folded, go_on, let_pass
from services.stager.timers import fire_some

AT_ONCE = 200
"""Customers of a chunk: the stager folds nothing else meanwhile."""

AT_THE_SWITCH = 1_000
"""So many customers may be out of date when a switch begins: while they are folded all stand still."""

_NOT_TO_BE_BUILT = (InvalidDefinition, DoesNotFit, OverflowError)
"""What ends a build: its version does not go with others that came into force, or folds to what nobody can store."""

_SAID = {"built": Action.BUILD_BUILT, "activated": Action.BUILD_ACTIVATED, "dropped": Action.BUILD_DROPPED}

_TIMERS_AT_THE_SWITCH = 3
"""So many times customers who are due may be looked for while all stand still."""

_canonical = msgspec.json.Encoder(order="sorted").encode


class _Versions(NamedTuple):
    """The machines in force and those of a build; loaded once, as versions never change."""

    live: Journeys
    beside: Journeys


class Builder:
    """Works on builds. Several may do so at once: they take turns."""

    def __init__(self, engine: Engine, kinds: Kinds, at_once: int = AT_ONCE) -> None:
        self._engine = engine
        self._kinds = kinds
        self._at_once = at_once
        self._loaded: dict[tuple[tuple[str, int], ...], Journeys] = {}

    async def look(self) -> bool:
        """Do one piece of what is to be done on any build; False when there is nothing.

        Raises `StoreUnavailable`, and `Contended`: try again.
        """
        async with transaction(self._engine) as driver:
            number = await builds.to_do(driver)
            if number is None:
                return await builds.clear_ended(driver)
        await self.work(number)
        return True

    async def work(self, number: int) -> Build:
        """Do one piece of a build, and say how it stands then. Raises as `look` does."""
        try:
            before, after = await self._step(number)
        except _NOT_TO_BE_BUILT as error:
            before, after = await self._drop(number, str(error))
        if after.state in _SAID and after.state != before.state:
            log(_SAID[after.state], build=number, journey=after.journey, version=after.version)
        return after

    async def _step(self, number: int) -> tuple[Build, Build]:
        async with transaction(self._engine) as driver:
            build = await builds.find(driver, number, held=True)
            if build.at_work:
                await self._work(driver, build)
            return build, await builds.find(driver, number)

    async def _drop(self, number: int, reason: str) -> tuple[Build, Build]:
        async with transaction(self._engine) as driver:
            build = await builds.find(driver, number, held=True)
            if build.is_open:
                await builds.mark(driver, build, "dropped", {"refused": reason})
            return build, await builds.find(driver, number)

    async def _work(self, driver: Driver, build: Build) -> None:
        if build.state == "building":
            await switching.hold_off(driver)
        else:
            await switching.stand_still(driver)
        in_force = await definitions.in_force(driver)
        target = beside(in_force, build.journey, build.version)
        if build.state == "building":
            if target != build.versions:
                await self._machines(driver, target)
                await builds.restart(driver, build, target)
            else:
                await self._fold_some(driver, build, in_force)
        elif target != build.versions:
            await builds.mark(driver, build, "building")
        else:
            await self._switch(driver, build, in_force)

    async def _fold_some(self, driver: Driver, build: Build, in_force: Mapping[str, int]) -> None:
        """Fold customers for the first time; once there are none, those who changed since."""
        seen = await builds.unseen(driver, build, self._at_once)
        reached = await horizon.reached(driver)
        some = seen or await builds.out_of_date(driver, build, reached, self._at_once)
        await self._fold(driver, build, some, in_force, reached)
        if seen:
            await builds.passed(driver, build, seen)
        elif len(some) < self._at_once:
            await builds.mark(driver, build, "built")

    async def _switch(self, driver: Driver, build: Build, in_force: Mapping[str, int]) -> None:
        """Switch, or go on building where too much is out of date. One message tells the feed.

        What is due by the versions in force fires first and is told as always: the one message is about the rest.
        """
        live = await self._machines(driver, in_force)
        for _ in range(_TIMERS_AT_THE_SWITCH):
            if not await fire_some(driver, live, self._kinds):
                break
        else:
            return  # too many for one transaction: the others at the next look
        reached = await horizon.reached(driver)
        late = await builds.out_of_date(driver, build, reached, AT_THE_SWITCH + 1)
        if len(late) > AT_THE_SWITCH:
            await builds.mark(driver, build, "building")
            return
        await self._fold(driver, build, late, in_force, reached)
        at = clock.now()
        cells = await switching.matrix(driver, build.build)
        switched = await switching.switch(driver, build.build, at)
        if build.journey != REPLAY:
            await definitions.put_in_force(driver, build.journey, build.version, at)
            await builds.drop_others(driver, build)
        if build.journey != REPLAY or any(switched):
            moved = sum(cell.customers for cell in cells if cell.before != cell.now)
            await feed.write(driver, [_message(build, in_force, moved, at)])
        await builds.mark(driver, build, "activated", {"matrix": cells, "switched": switched._asdict()})

    async def _fold(
        self,
        driver: Driver,
        build: Build,
        customers: Sequence[Customer],
        in_force: Mapping[str, int],
        reached: datetime,
    ) -> None:
        """Fold customers under the build's versions and keep that, in the place of what it had of them."""
        versions = _Versions(await self._machines(driver, in_force), await self._machines(driver, build.versions))
        waiting = {one.customer: one for one in customers}
        folded = []
        async for customer, history in touchpoints.each_history(driver, list(waiting)):
            after = go_on(versions.beside, NOBODY, history, reached)
            assert after is not None  # in order, nothing is late
            after = let_pass(versions.beside, after, reached)
            folded.append(_beside(build, waiting.pop(customer), after, versions.live, reached))
        folded += [Beside(*one, None, False, (None, None), (), (), ()) for one in map(_nobody, waiting.values())]
        await builds.keep(driver, build, folded)

    async def _machines(self, driver: Driver, versions: Mapping[str, int]) -> Journeys:
        key = tuple(sorted(versions.items()))
        if key not in self._loaded:
            self._loaded = dict([*self._loaded.items()][-3:])
            self._loaded[key] = await definitions.load(driver, versions)
        return self._loaded[key]


def _beside(build: Build, live: Customer, after: Folded, in_force: Journeys, reached: datetime) -> Beside:
    # as it is once all that is due has fired, on both sides
    before = elapse(in_force, decode_state(live.state), reached).state
    return Beside(
        live.customer,
        live.revision,
        b"" if after.state.last is None else encode_state(after.state),
        min((at for at in (after.due_at, after.waits_until) if at is not None), default=None),
        after.waits_until is not None,
        (_stage(before, build.journey), _stage(after.state, build.journey)),
        after.transitions,
        list(_stays(live.customer, after.transitions)),
        after.facts,
    )


def _stays(customer: int, transitions: Sequence[Transition]) -> Iterator[Stay]:
    """The stays that all transitions of a customer begin; each ends where the next one of its journey begins."""
    by_journey: dict[str, list[Transition]] = defaultdict(list)
    for transition in transitions:
        by_journey[transition.journey].append(transition)
    for journey, moves in by_journey.items():
        ends = [*(move.occurred_at for move in moves[1:]), None]
        for place, (move, end) in enumerate(zip(moves, ends, strict=True)):
            yield Stay(customer, journey, place, move.run, move.to_stage, move.occurred_at, end)


def _nobody(live: Customer) -> tuple[int, int, bytes]:
    return live.customer, live.revision, b""


def _stage(state: CustomerState, journey: str) -> str | None:
    here = state.journeys.get(journey)
    return None if here is None else here.stage


def _message(build: Build, in_force: Mapping[str, int], moved: int, at: datetime) -> Message:
    """The one message of a switch; its id is a hash of what it says."""
    said: dict[str, Any] = {"type": "state.replayed", "activated_at": at}
    if build.journey != REPLAY:
        said = {
            "type": "definition.activated",
            "journey": build.journey,
            "version": build.version,
            "version_before": in_force.get(build.journey),
            "customers_moved": moved,
            "activated_at": at,
        }
    id_ = sha256(_canonical(said)).digest()[:16]
    return Message(id_, build.journey, at, _canonical({"id": id_.hex(), "learned_at": at, **said}))
