"""What a fold collects on its way: transitions and facts, in the order in which they come about."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from journey.machine import Machine
from journey.outcomes import Advanced, Fact, Kind, Transition
from journey.state import Cause, CustomerState, JourneyState

_NO_DETAIL: Mapping[str, Any] = {}


class Findings:
    """The transitions and facts of one call of the fold; lives no longer than that.

    `at` and `cause` say what is happening at the moment: what is noted, is noted with them.
    """

    __slots__ = ("_facts", "_facts_before", "_transitions", "at", "cause")

    at: datetime
    cause: Cause

    def __init__(self, facts_before: int) -> None:
        self._facts_before = facts_before
        self._transitions: list[Transition] = []
        self._facts: list[Fact] = []

    @property
    def facts(self) -> int:
        """How many facts the customer has by now."""
        return self._facts_before + len(self._facts)

    def transition(self, machine: Machine, here: JourneyState, from_stage: str | None) -> None:
        """Note that the customer came to where `here` is."""
        self._transitions.append(
            Transition(
                journey=machine.name,
                version=machine.version,
                run=here.run,
                from_stage=from_stage,
                to_stage=here.stage,
                occurred_at=here.entered_at,
                place=here.place,
                rule=here.rule,
                cause=here.cause,
            )
        )

    def fact(
        self, machine: Machine, here: JourneyState, kind: Kind, name: str, detail: Mapping[str, Any] = _NO_DETAIL
    ) -> None:
        """Note a fact about the customer in the stage and run of `here`."""
        self._facts.append(
            Fact(
                journey=machine.name,
                run=here.run,
                kind=kind,
                name=name,
                stage=here.stage,
                occurred_at=self.at,
                cause=self.cause,
                detail=detail,
            )
        )

    def advanced(self, state: CustomerState) -> Advanced:
        """The outcome."""
        return Advanced(state, tuple(self._transitions), tuple(self._facts))
