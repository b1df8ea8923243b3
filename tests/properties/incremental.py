"""What a stager does with the kernel for one customer, without its database: batches in, state and history out."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from journey.fold import advance, elapse, fold
from journey.machine import Journeys
from journey.outcomes import Advanced, Fact, Ignored, Late, Rejected, Transition
from journey.state import NOBODY, CustomerState, decode_state, encode_state
from journey.touchpoint import Touchpoint, counts_before
from tests.properties.strategies import in_order


@dataclass
class Customer:
    """A customer whose touchpoints arrive anyhow."""

    journeys: Journeys
    horizon: datetime
    stored: dict[tuple[str, str], Touchpoint] = field(default_factory=dict)
    row: bytes = encode_state(NOBODY)
    transitions: list[Transition] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    folds_again: int = 0

    @property
    def state(self) -> CustomerState:
        return decode_state(self.row)

    def batch(self, arrived: Iterable[Touchpoint], horizon: datetime) -> None:
        """One transaction: store, fold, and let time pass up to the new horizon."""
        waiting = [one for one in self.stored.values() if one.occurred_at > self.horizon]
        self.horizon = horizon
        for touchpoint in in_order(waiting):
            self.take(touchpoint)
        for touchpoint in arrived:
            self.store(touchpoint)
        self.keep(elapse(self.journeys, self.state, self.horizon))

    def store(self, touchpoint: Touchpoint) -> None:
        key = (touchpoint.source, touchpoint.id)
        kept = self.stored.get(key)
        if kept is None:
            self.stored[key] = touchpoint
            self.take(touchpoint)
        elif counts_before(touchpoint, kept):
            self.stored[key] = touchpoint
            self.fold_again()

    def take(self, touchpoint: Touchpoint) -> None:
        match advance(self.journeys, self.state, touchpoint, self.horizon):
            case Advanced() as advanced:
                self.keep(advanced)
            case Late():
                self.fold_again()
            case Rejected() | Ignored():
                pass

    def keep(self, advanced: Advanced) -> None:
        self.row = encode_state(advanced.state)
        self.transitions += advanced.transitions
        self.facts += advanced.facts

    def fold_again(self) -> None:
        self.folds_again += 1
        self.transitions, self.facts = [], []
        self.keep(fold(self.journeys, in_order(list(self.stored.values())), self.horizon))
