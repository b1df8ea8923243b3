"""What a fold that went over the past once more says otherwise than what was told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from journey.outcomes import Fact, Transition
from journey.state import CustomerState
from plumbing.store.told import Stay, Told
from services.stager.folding import Folded


@dataclass(frozen=True, slots=True)
class Change:
    """One customer before and after."""

    customer: int
    before: CustomerState
    after: Folded


@dataclass(slots=True)
class Difference:
    """What to write of one customer: what no longer holds and what holds from now on.

    Stays and facts are numbered by their places. `stays_gone` has for a journey the first place that no longer holds,
    `facts_gone` that of the facts (None: all still hold); new ones are numbered from there.
    """

    customer: int
    retracted: Sequence[Told] = ()
    added: Sequence[Transition] = ()
    stays_gone: dict[str, int] = field(default_factory=dict)
    stays: list[Stay] = field(default_factory=list)
    facts_gone: int | None = None
    facts_from: int = 0
    facts: Sequence[Fact] = ()

    @property
    def journeys(self) -> set[str]:
        """Those in which the customer's past or present is another now."""
        return {one.journey for one in self.retracted} | {one.journey for one in self.added}


def went_on(change: Change) -> Difference:
    """Of a fold that only went on: all it found is new."""
    after = change.after
    facts_from = after.state.facts - len(after.facts)
    found = Difference(change.customer, added=after.transitions, facts_from=facts_from, facts=after.facts)
    for journey in {one.journey for one in after.transitions}:
        moves = [one for one in after.transitions if one.journey == journey]
        found.stays += _stays(change.customer, moves, after.state.journeys[journey].stays - len(moves) + 1)
    return found


def went_over(change: Change, again: CustomerState, live: Sequence[Told], facts: Sequence[Fact]) -> Difference:
    """Of a fold that began anew at `again`: compared with the transitions told since about that instant, and the facts
    since that state."""
    told = [one for one in live if _is_after(again, one)]
    now = change.after.transitions
    held, holds = {one.id for one in told}, {one.id for one in now}
    found = Difference(
        change.customer,
        retracted=[one for one in told if one.id not in holds],
        added=[one for one in now if one.id not in held],
    )
    for journey in found.journeys:
        _compare_stays(change, again, journey, told, found)
    same = sum(1 for _ in takewhile(_are_equal, zip(facts, change.after.facts, strict=False)))
    found.facts_from = again.facts + same
    found.facts_gone = found.facts_from if same < len(facts) else None
    found.facts = change.after.facts[same:]
    return found


def _is_after(again: CustomerState, told: Told) -> bool:
    here = again.journeys.get(told.journey)
    return here is None or (told.occurred_at, told.place) > (here.entered_at, here.place)


def _compare_stays(change: Change, again: CustomerState, journey: str, told: Sequence[Told], found: Difference) -> None:
    """The stays from the first one that another transition began."""
    before = [one.id for one in told if one.journey == journey]
    moves = [one for one in change.after.transitions if one.journey == journey]
    same = sum(1 for _ in takewhile(_are_equal, zip(before, (one.id for one in moves), strict=False)))
    here = again.journeys.get(journey)
    first = same + (here.stays + 1 if here else 0)
    if same < len(before):
        found.stays_gone[journey] = first
    found.stays += _stays(change.customer, moves[same:], first)


def _are_equal(pair: tuple[object, object]) -> bool:
    return pair[0] == pair[1]


def _stays(customer: int, moves: Sequence[Transition], first: int) -> list[Stay]:
    """The stays that transitions of one journey begin; each ends where the next one begins."""
    ends = [*(move.occurred_at for move in moves[1:]), None]
    return [
        Stay(customer, move.journey, first + index, move.run, move.to_stage, move.occurred_at, end)
        for index, (move, end) in enumerate(zip(moves, ends, strict=False))
    ]
