"""Writing down what the folds of a batch say, and a message for each customer and journey where something changed."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from itertools import chain
from typing import Any

import msgspec

from journey.outcomes import Transition
from journey.state import encode_state
from plumbing import clock
from plumbing.store import customers, feed, identities, told
from plumbing.store.engine import Driver
from plumbing.store.feed import Message
from plumbing.store.told import Told
from plumbing.telemetry import TRANSITIONS
from services.stager.differences import Change, Difference, went_on, went_over

_canonical = msgspec.json.Encoder(order="sorted").encode


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
    differences = await _differences(driver, changes)
    retracted = [(one.customer, transition.id) for one in differences for transition in one.retracted]
    added = [(one.customer, transition) for one in differences for transition in one.added]
    again = {change.customer for change in changes if change.after.again is not None}
    retold = [*retracted, *((customer, transition.id) for customer, transition in added if customer in again)]
    told_before = await told.told_before(driver, retold)
    await told.retract(driver, retracted, at)
    await told.add(driver, added, at)
    await _write_stays_and_facts(driver, differences)
    for _, transition in added:
        TRANSITIONS.labels(transition.journey).inc()
    await customers.write(driver, [_row(change) for change in changes], rows, reached)
    moved = [pair for pair in zip(changes, differences, strict=True) if pair[1].retracted or pair[1].added]
    shown = {**await identities.shown_ids(driver, [one.customer for one, _ in moved], strong_kinds), **shown_before}
    messages = (_messages(change, found, shown[found.customer], told_before, at) for change, found in moved)
    await feed.write(driver, list(chain.from_iterable(messages)))


async def _differences(driver: Driver, changes: Sequence[Change]) -> list[Difference]:
    """What is to be written of each change, in their order."""
    again = {change.customer: change.after.again for change in changes if change.after.again is not None}
    since = {customer: state.last and state.last.occurred_at for customer, state in again.items()}
    places = {
        change.customer: again[change.customer].facts
        for change in changes
        if change.customer in again and change.before.facts > again[change.customer].facts
    }
    live, facts = await told.live(driver, since), await told.facts(driver, places)
    return [
        went_on(change)
        if change.after.again is None
        else went_over(change, change.after.again, live[change.customer], facts.get(change.customer, ()))
        for change in changes
    ]


async def _write_stays_and_facts(driver: Driver, differences: Sequence[Difference]) -> None:
    gone = [(one.customer, journey, place) for one in differences for journey, place in one.stays_gone.items()]
    await told.forget_stays(driver, gone)
    await told.stay(driver, [stay for one in differences for stay in one.stays])
    await told.forget_facts(driver, {one.customer: one.facts_gone for one in differences if one.facts_gone is not None})
    await told.note(driver, {one.customer: (one.facts_from, one.facts) for one in differences if one.facts})


def _row(change: Change) -> customers.Written:
    after = change.after
    nobody = after.state.last is None
    due_at = min((at for at in (after.due_at, after.waits_until) if at is not None), default=None)
    return customers.Written(
        change.customer,
        b"" if nobody else encode_state(after.state),
        after.recent,
        due_at,
        after.waits_until is not None,
    )


def _messages(
    change: Change, found: Difference, shown: str, told_before: Mapping[tuple[int, bytes], int], at: datetime
) -> Iterable[Message]:
    """One message for each journey in which the customer's past or present is another now."""
    for journey in sorted(found.journeys):
        before, after = change.before.journeys.get(journey), change.after.state.journeys.get(journey)
        retracted = [one for one in found.retracted if one.journey == journey]
        added = [one for one in found.added if one.journey == journey]
        said: dict[str, Any] = {
            "customer": shown,
            "journey": journey,
            "stage_before": before and before.stage,
            "stage_now": after and after.stage,
            "retracted": [_retracted(one) for one in retracted],
            "added": [describe(one) for one in added],
        }
        ids = [one.id for one in retracted] + [one.id for one in added]
        times = sum(told_before.get((change.customer, id_), 0) for id_ in ids)
        message = _message_id(said, times)
        body = _canonical({"id": message.hex(), "type": "journey.stage_changed", "learned_at": at, **said})
        yield Message(message, journey, at, body)


def _message_id(said: Mapping[str, Any], times: int) -> bytes:
    """16 bytes: a hash of what a message says and of how `times` its transitions were told and taken back before.

    Thus what is told, taken back and told once more has another id each time, for receivers that drop an id they know;
    and a restored backup, which has the same rows, gives the same ids again.
    """
    return sha256(_canonical({**said, "times": times} if times else said)).digest()[:16]


def describe(transition: Transition) -> dict[str, Any]:
    """A transition with its explanation, as messages tell it."""
    return {"id": transition.id.hex(), **msgspec.to_builtins(transition)}


def _retracted(one: Told) -> dict[str, Any]:
    return {"id": one.id.hex(), **{name: getattr(one, name) for name in one._fields if name not in {"id", "place"}}}
