"""What a fold collects on its way: transitions and facts, in the order in which they come about."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from journey.machine import Machine
from journey.outcomes import Advanced, Fact, Kind, Transition
from journey.state import Cause, CustomerState, JourneyState


class Findings:
    """The transitions and facts of one call of the fold; lives no longer than that."""

    __slots__ = ("_facts", "_facts_before", "_transitions")

    def __init__(self, facts_before: int) -> None:
        self._facts_before = facts_before
        self._transitions: list[Transition] = []
        self._facts: list[Fact] = []

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
        self,
        machine: Machine,
        here: JourneyState,
        kind: Kind,
        name: str,
        at: datetime,
        cause: Cause,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Note a fact about the customer in the stage and run of `here`."""
        self._facts.append(
            Fact(
                journey=machine.name,
                run=here.run,
                kind=kind,
                name=name,
                stage=here.stage,
                occurred_at=at,
                cause=cause,
                detail=detail or {},
            )
        )

    def advanced(self, state: CustomerState) -> Advanced:
        """The outcome, with the state's count of facts brought up to date."""
        if self._facts:
            state = replace(state, facts=self._facts_before + len(self._facts))
        return Advanced(state, tuple(self._transitions), tuple(self._facts))
