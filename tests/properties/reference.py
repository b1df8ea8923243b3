"""A second fold, written apart from the first to be obviously right: it keeps everything and recomputes everything.

Nothing is carried along but the log of what happened. Which stage a customer is in, how often something matched within
a window, whether a pain is open, since when a measure runs: each is looked up in the log, from its beginning, whenever
it is asked for. It shares the grammar's types with the product, and no line of its logic.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from journey.grammar import AtLeast, Definition, Match, Measure, Moment, Objection, Override, Pain, Rule
from journey.touchpoint import Touchpoint
from tests.properties.reference_guards import all_hold


class Move(NamedTuple):
    """A transition. `cause` is the touchpoint's (source, id), or the instant from which the timer counted."""

    journey: str
    run: int
    from_stage: str | None
    to_stage: str
    at: datetime
    place: int
    rule: str
    cause: tuple[str, str] | datetime


class Found(NamedTuple):
    """A fact; `lasted` for what has a length."""

    journey: str
    run: int
    kind: str
    name: str
    stage: str
    at: datetime
    lasted: timedelta | None = None


@dataclass
class Seen:
    """A touchpoint, what was known of the customer by then, and the run in which it left the journey."""

    touchpoint: Touchpoint
    traits: dict[str, Any]
    run: int


@dataclass
class Life:
    """One customer's life in one journey, from the touchpoint that began it."""

    definition: Definition
    log: list[Move | Found | Seen] = field(default_factory=list)
    proposed: list[str] = field(default_factory=list)

    # --- looked up in the log ---

    @property
    def moves(self) -> list[Move]:
        return [entry for entry in self.log if isinstance(entry, Move)]

    @property
    def facts(self) -> list[Found]:
        return [entry for entry in self.log if isinstance(entry, Found)]

    @property
    def seen(self) -> list[Seen]:
        return [entry for entry in self.log if isinstance(entry, Seen)]

    @property
    def here(self) -> Move:
        return self.moves[-1]

    def after(self, *marks: Move | Found | Seen) -> list[Move | Found | Seen]:
        """What stands in the log after the last of `marks`."""
        places = [place for place, entry in enumerate(self.log) if any(entry is mark for mark in marks)]
        return self.log[max(places, default=-1) + 1 :]

    @property
    def persona(self) -> str | None:
        traits = self.seen[-1].traits
        return next((one.name for one in self.definition.personas if all_hold(one.where, None, traits)), None)

    def override(self, rule: Rule) -> Override:
        mine = [persona for persona in self.definition.personas if persona.name == self.persona]
        return mine[0].transitions.get(rule.rule, Override()) if mine else Override()

    def leaves(self, rule: Rule) -> bool:
        """Whether a rule leads out of the present stage, for this customer."""
        order = [stage.name for stage in self.definition.stages]
        here = self.here.to_stage
        if self.override(rule).disabled:
            return False
        if rule.from_ == "any":
            is_earlier = order.index(here) < order.index(rule.to)
            return rule.run is not None or is_earlier or (here != rule.to and rule.backward is not None)
        return here == rule.from_ or (isinstance(rule.from_, tuple) and here in rule.from_)

    @property
    def is_dead(self) -> bool:
        own = [entry for entry in self.seen if entry.touchpoint.initiator == "customer"]
        later = self.after(self.here, *own[-1:])
        return any(isinstance(entry, Found) and entry.kind == "dead_time" for entry in later)

    def opened(self, concern: str) -> Found | None:
        """The fact that opened a pain or objection, if it is open still."""
        about = [fact for fact in self.facts if fact.name == concern and fact.kind in {*OPENS, *CLOSES}]
        return about[-1] if about and about[-1].kind in OPENS else None

    def since_over(self, concern: str) -> list[Seen]:
        """The touchpoints from the one that last resolved a concern on: it may be the first to raise it again."""
        over = [place for place, one in enumerate(self.log)
                if isinstance(one, Found) and one.name == concern and one.kind in CLOSES]  # fmt: skip
        before = [entry for entry in self.log[: max(over, default=0)] if isinstance(entry, Seen)]
        return [*before[-1:], *(entry for entry in self.log[max(over, default=0) :] if isinstance(entry, Seen))]

    # --- noted in the log ---

    def note(self, kind: str, name: str, at: datetime, lasted: timedelta | None = None) -> None:
        here = self.here
        self.log.append(Found(self.definition.journey, here.run, kind, name, here.to_stage, at, lasted))

    def move(self, rule: str, to: str, at: datetime, cause: tuple[str, str] | datetime, opens_run: bool) -> None:
        moves = self.moves
        run = moves[-1].run + opens_run if moves else 1
        place = sum(move.at == at for move in moves)
        stage = moves[-1].to_stage if moves else None
        self.log.append(Move(self.definition.journey, run, stage, to, at, place, rule, cause))

    # --- a touchpoint ---

    def happen(self, touchpoint: Touchpoint, traits: dict[str, Any]) -> None:
        at = touchpoint.occurred_at
        persona = self.persona if self.seen else None
        self.log.append(Seen(touchpoint, traits, self.here.run if self.moves else 1))
        if not self.moves:
            self.move("begins", self.definition.initial, at, key(touchpoint), opens_run=False)
        elif self.persona != persona:
            self.note("persona", self.persona or "", at)
        self.follow(touchpoint, traits)
        self.seen[-1].run = self.here.run
        self.feel(touchpoint, traits)
        self.measure(at)
        self.propose(at)

    def follow(self, touchpoint: Touchpoint, traits: dict[str, Any]) -> None:
        for rule in self.definition.transitions:
            if not self.leaves(rule) or not fits(rule, touchpoint, traits):
                continue
            at_least = self.override(rule).at_least or rule.at_least
            if at_least and not self.enough(rule, at_least, self.after(self.here), touchpoint.occurred_at):
                continue
            order = [stage.name for stage in self.definition.stages]
            is_backward = rule.run is None and order.index(rule.to) < order.index(self.here.to_stage)
            if is_backward and rule.backward == "deny":
                self.note("denied", rule.rule, touchpoint.occurred_at)
            else:
                opens_run = rule.run is not None
                self.move(rule.rule, rule.to, touchpoint.occurred_at, key(touchpoint), opens_run)
            return

    def enough(
        self, match: Rule | Pain | Objection, at_least: AtLeast, log: Sequence[Move | Found | Seen], at: datetime
    ) -> bool:
        matches = [
            entry
            for entry in log
            if isinstance(entry, Seen)
            and fits(match, entry.touchpoint, entry.traits)
            and at - entry.touchpoint.occurred_at <= at_least.within
        ]
        return len(matches) >= at_least.count

    def feel(self, touchpoint: Touchpoint, traits: dict[str, Any]) -> None:
        """Moments, then what is over, then what begins to hurt."""
        at = touchpoint.occurred_at
        for moment in self.definition.moments:
            if fits(moment, touchpoint, traits):
                self.note("moment", moment.name, at)
        concerns: list[Pain | Objection] = [*self.definition.pains, *self.definition.objections]
        for concern in concerns:
            opened = self.opened(concern.name)
            end = concern.resolved_by if isinstance(concern, Pain) else concern.answered_by
            if opened and fits(end, touchpoint, traits):
                kind = "pain_resolved" if isinstance(concern, Pain) else "objection_answered"
                self.note(kind, concern.name, at, at - opened.at)
        for concern in concerns:
            is_raised = not self.opened(concern.name) and fits(concern, touchpoint, traits)
            counted = self.since_over(concern.name)
            if is_raised and (not concern.at_least or self.enough(concern, concern.at_least, counted, at)):
                self.note("pain_opened" if isinstance(concern, Pain) else "objection_raised", concern.name, at)

    def measure(self, at: datetime) -> None:
        stopped = [measure for measure in self.definition.measures if self.lengths(measure)[1]]
        for measure in stopped:
            self.note("measured", measure.name, at, self.lengths(measure)[0])
        simple = {measure.name: self.lengths(measure)[0] for measure in self.definition.measures}
        for total in self.definition.measures:
            parts = [simple[name] for name in total.sum_of]
            if any(measure.name in total.sum_of for measure in stopped) and None not in parts:
                self.note("measured", total.name, at, sum((part for part in parts if part), timedelta()))

    def lengths(self, measure: Measure) -> tuple[timedelta | None, bool]:
        """The latest length of a measure in this run, and whether the last touchpoint is what stopped it."""
        started: datetime | None = None
        lasted: timedelta | None = None
        stopped: Seen | None = None
        for entry in self.seen:
            if entry.run == self.here.run and measure.starts and measure.stops:
                at = entry.touchpoint.occurred_at
                if started is not None and fits(measure.stops, entry.touchpoint, entry.traits):
                    lasted, started, stopped = at - started, None, entry
                if fits(measure.starts, entry.touchpoint, entry.traits):
                    started = at
        return lasted, stopped is self.seen[-1]

    def propose(self, at: datetime) -> None:
        def called_for(when: Any) -> bool:
            return (
                (not when.stages or self.here.to_stage in when.stages)
                and (not when.personas or self.persona in when.personas)
                and (not when.pains or any(self.opened(name) for name in when.pains))
                and (not when.objections or any(self.opened(name) for name in when.objections))
                and (not when.dead_time or self.is_dead)
            )

        actions = sorted(self.definition.actions, key=lambda action: (-action.priority, action.name))
        proposed = [action.name for action in actions if called_for(action.when)]
        for name in self.proposed:
            if name not in proposed:
                self.note("action_withdrawn", name, at)
        for name in proposed:
            if name not in self.proposed:
                self.note("action_proposed", name, at)
        self.proposed = proposed

    # --- time ---

    def timers(self, heard_at: datetime | None) -> Iterator[tuple[datetime, str, str, datetime, Rule | None]]:
        """What time will cause: (due, journey, rule's name, counted from, the rule; None for dead time)."""
        entered_at = self.here.at
        silent_since = max(entered_at, heard_at) if heard_at else entered_at
        changes = [entry.at for entry in self.after(self.here) if isinstance(entry, Found) and entry.kind == "persona"]
        never_before = changes[-1] if changes else entered_at
        name = self.definition.journey
        for rule in self.definition.transitions:
            if rule.after and self.leaves(rule):
                since = silent_since if rule.of == "silence" else entered_at
                due = max(since + (self.override(rule).after or rule.after), never_before)
                yield due, name, rule.rule, since, rule
        stage = self.definition.stage(self.here.to_stage)
        mine = [persona.dead_time for persona in self.definition.personas if persona.name == self.persona]
        dead_time = (mine[0].get(stage.name) if mine else None) or stage.dead_time
        if dead_time and not self.is_dead:
            yield max(silent_since + dead_time, never_before), name, "dead_time", silent_since, None

    def fire(self, due: datetime, since: datetime, rule: Rule | None) -> None:
        if rule is None:
            self.note("dead_time", self.here.to_stage, due)
        else:
            self.move(rule.rule, rule.to, due, since, opens_run=rule.run is not None)
        self.propose(due)


OPENS = {"pain_opened", "objection_raised"}
CLOSES = {"pain_resolved", "objection_answered"}


def live(definitions: Sequence[Definition], touchpoints: Sequence[Touchpoint], until: datetime) -> list[Life]:
    """Each journey that began, by name: all touchpoints up to `until`, and what time caused in between and after."""
    lives: dict[str, Life] = {}
    traits: dict[str, Any] = {}
    heard_at: datetime | None = None
    in_order = sorted(touchpoints, key=lambda one: (one.occurred_at, one.sequence, one.source, one.id))
    for touchpoint in in_order:
        if touchpoint.occurred_at > until:
            break
        pass_time(lives, heard_at, touchpoint.occurred_at)
        traits = {name: value for name, value in {**traits, **touchpoint.traits}.items() if value is not None}
        if touchpoint.initiator == "customer":
            heard_at = touchpoint.occurred_at
        for definition in sorted(definitions, key=lambda one: one.journey):
            if definition.journey not in lives:
                if definition.begins is None or fits(definition.begins, touchpoint, traits):
                    lives[definition.journey] = Life(definition)
                else:
                    continue
            lives[definition.journey].happen(touchpoint, traits)
    pass_time(lives, heard_at, until)
    return [lives[name] for name in sorted(lives)]


def pass_time(lives: dict[str, Life], heard_at: datetime | None, until: datetime) -> None:
    while True:
        due = [timer for life in lives.values() for timer in life.timers(heard_at) if timer[0] <= until]
        if not due:
            return
        at, journey, _, since, rule = min(due, key=lambda timer: timer[:3])
        lives[journey].fire(at, since, rule)


def key(touchpoint: Touchpoint) -> tuple[str, str]:
    return touchpoint.source, touchpoint.id


def fits(match: Match | Rule | Moment | Pain | Objection, touchpoint: Touchpoint, traits: dict[str, Any]) -> bool:
    types = (match.on,) if isinstance(match.on, str) else match.on or ()
    return touchpoint.type in types and all_hold(match.where, touchpoint, traits)
