"""Writing down what the folds of a batch say, and a message for each customer and journey where something changed."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import chain
from typing import Any

import msgspec

from journey.outcomes import Transition
from journey.state import CustomerState, encode_state
from plumbing import clock
from plumbing.store import customers, feed, identities, told
from plumbing.store.engine import Driver
from plumbing.store.feed import Message
from plumbing.store.told import Stay, Told
from plumbing.telemetry import TRANSITIONS
from services.stager.folding import Folded

_canonical = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True, slots=True)
class Change:
    """One customer before and after. `again`: the fold went over the whole past, so it says everything anew."""

    customer: int
    before: CustomerState
    after: Folded
    again: bool


async def tell(
    driver: Driver,
    changes: Sequence[Change],
    rows: Mapping[int, customers.Row],
    shown_before: Mapping[int, str],
    strong_kinds: Collection[str],
    reached: datetime,
) -> None:
    """Write states, transitions, stays, facts and messages of changes, folded with the horizon at `reached`."""
    at = clock.now()
    again = [change.customer for change in changes if change.again]
    live = await told.live(driver, again)
    retracted, added = _differences(changes, live)
    await told.forget_stays_and_facts(driver, again)
    await told.retract(driver, [(customer, one.id) for customer, gone in retracted.items() for one in gone], at)
    await told.add(driver, [(customer, one) for customer, new in added.items() for one in new], at)
    await told.stay(driver, [stay for change in changes for stay in _stays(change)])
    facts = {c.customer: (c.after.state.facts - len(c.after.facts), c.after.facts) for c in changes if c.after.facts}
    await told.note(driver, facts)
    for transition in chain.from_iterable(added.values()):
        TRANSITIONS.labels(transition.journey).inc()
    await customers.write(driver, [_row(change) for change in changes], rows, reached)
    moved = [change for change in changes if added.get(change.customer) or retracted.get(change.customer)]
    shown = {**await identities.shown_ids(driver, [one.customer for one in moved], strong_kinds), **shown_before}
    await feed.write(
        driver,
        [
            message
            for one in moved
            for message in _messages(one, shown[one.customer], retracted[one.customer], added[one.customer], at)
        ],
    )


def _differences(
    changes: Iterable[Change], live: Mapping[int, list[Told]]
) -> tuple[dict[int, list[Told]], dict[int, list[Transition]]]:
    """What no longer holds and what holds from now on, of each customer."""
    retracted: dict[int, list[Told]] = defaultdict(list)
    added: dict[int, list[Transition]] = defaultdict(list)
    for change in changes:
        customer, new = change.customer, change.after.transitions
        if not change.again:
            added[customer] += new
            continue
        holds = {(one.id, one.place) for one in new}
        held = {(one.id, one.place) for one in live[customer]}
        retracted[customer] += [one for one in live[customer] if (one.id, one.place) not in holds]
        added[customer] += [one for one in new if (one.id, one.place) not in held]
    return retracted, added


def _stays(change: Change) -> list[Stay]:
    """The stays that the transitions of a change begin; each ends where the next one of its journey begins."""
    by_journey: dict[str, list[Transition]] = defaultdict(list)
    for transition in change.after.transitions:
        by_journey[transition.journey].append(transition)
    stays = []
    for journey, moves in by_journey.items():
        first = change.after.state.journeys[journey].stays - len(moves) + 1
        ends = [*(move.occurred_at for move in moves[1:]), None]
        stays += [
            Stay(change.customer, journey, first + index, move.run, move.to_stage, move.occurred_at, end)
            for index, (move, end) in enumerate(zip(moves, ends, strict=True))
        ]
    return stays


def _row(change: Change) -> customers.Written:
    after = change.after
    nobody = after.state.last is None
    due_at = min((at for at in (after.due_at, after.waits_until) if at is not None), default=None)
    return customers.Written(
        change.customer, b"" if nobody else encode_state(after.state), due_at, after.waits_until is not None
    )


def _messages(
    change: Change, shown: str, retracted: Sequence[Told], added: Sequence[Transition], at: datetime
) -> Iterable[Message]:
    """One message for each journey in which the customer's past or present is another now."""
    for journey in sorted({one.journey for one in retracted} | {one.journey for one in added}):
        before, after = change.before.journeys.get(journey), change.after.state.journeys.get(journey)
        said: dict[str, Any] = {
            "customer": shown,
            "journey": journey,
            "stage_before": before and before.stage,
            "stage_now": after and after.stage,
            "retracted": [_retracted(one) for one in retracted if one.journey == journey],
            "added": [describe(one) for one in added if one.journey == journey],
        }
        id_ = sha256(_canonical(said)).digest()[:16]
        body = _canonical({"id": id_.hex(), "type": "journey.stage_changed", "learned_at": at, **said})
        yield Message(id_, journey, at, body)


def describe(transition: Transition) -> dict[str, Any]:
    """A transition with its explanation, as messages tell it."""
    return {"id": transition.id.hex(), **msgspec.to_builtins(transition)}


def _retracted(one: Told) -> dict[str, Any]:
    return {"id": one.id.hex(), **{name: getattr(one, name) for name in one._fields if name not in {"id", "place"}}}
