"""The profile of a customer, from the row that the store has of them: the hottest answer of the API."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import cast

import msgspec

from journey.identity import Class, Kinds
from journey.state import CustomerState, JourneyState, decode_state
from journey.timers import Pending, pending
from plumbing.store.reading.customers import Found
from plumbing.store.reading.identifiers import Known, shown_id
from plumbing.store.sealing import Sealer
from services.api.answers import Concern, DeadTime, Identifier, JourneyOfCustomer, Next, Profile, Why
from services.api.catalogue import Catalogue, JourneyWords
from services.api.masking import mask

_encode = msgspec.json.Encoder().encode


class Profiles:
    """Makes profiles. `kinds` says which identifiers are strong, `sealer` what their values are."""

    def __init__(self, kinds: Kinds, sealer: Sealer) -> None:
        self._kinds = kinds
        self._sealer = sealer

    def etag(self, found: Found, catalogue: Catalogue, personal: bool) -> str:
        """What stays the same as long as nothing but `horizon` changes."""
        name = b"%d.%d.%d.%d" % (found.customer, found.revision, len(found.identifiers), personal)
        return f'W/"{blake2b(name + catalogue.fingerprint, digest_size=12).hexdigest()}"'

    def encode(self, found: Found, catalogue: Catalogue, personal: bool) -> bytes:
        """The profile as JSON, with personal data where `personal`."""
        state = decode_state(found.state)
        profile = Profile(
            id=shown_id(found.identifiers, self._kinds),
            identifiers=self.identifiers(found.identifiers, personal),
            last_heard_at=state.heard_at,
            traits=state.traits if personal else None,
            journeys=tuple(_journeys(state, catalogue)),
            horizon=found.horizon,
            revision=found.revision,
        )
        return _encode(profile)

    def identifiers(self, known: Iterable[Known], personal: bool) -> tuple[Identifier, ...]:
        """Strong ones first, then in the order in which they came."""
        ordered = sorted(known, key=lambda one: (self._kinds.class_of(one.kind) is not Class.STRONG, one.first_at, one))
        return tuple(self._identifier(one, personal) for one in ordered)

    def _identifier(self, known: Known, personal: bool) -> Identifier:
        value = self._sealer.unseal(known.sealed)
        return Identifier(kind=known.kind, value=value if personal else mask(known.kind, value), masked=not personal)


def _journeys(state: CustomerState, catalogue: Catalogue) -> Iterator[JourneyOfCustomer]:
    for name, here in sorted(state.journeys.items()):
        words = catalogue.journeys.get(name)
        if words is not None:
            yield _journey(words, here, state.heard_at)


def _journey(words: JourneyWords, here: JourneyState, heard_at: datetime | None) -> JourneyOfCustomer:
    timers = tuple(pending(words.machine, here, heard_at))
    return JourneyOfCustomer(
        journey=words.machine.name,
        label=words.summary.label,
        version=words.machine.version,
        stage=words.stages[here.stage],
        run=here.run,
        since=here.entered_at,
        why=Why(
            rule=here.rule,
            label=words.rules[here.rule],
            version=words.machine.version,
            cause=cast("Mapping[str, object]", here.cause),
        ),
        persona=None if here.persona is None else words.personas[here.persona],
        dead_time=_dead_time(here, timers),
        pains=tuple(
            Concern(name=name, label=words.pains[name].label, since=since, severity=words.pains[name].severity)
            for name, since in here.open.items()
            if name in words.pains
        ),
        objections=tuple(
            Concern(name=name, label=words.objections[name].label, since=since, severity=None)
            for name, since in here.open.items()
            if name in words.objections
        ),
        actions=tuple(words.proposals[name] for name in here.proposed),
        next=_next(words, here, timers),
    )


def _dead_time(here: JourneyState, timers: tuple[Pending, ...]) -> DeadTime:
    due_at = next((one.due_at for one in timers if one.timer.to is None), None)
    return DeadTime(since=here.dead_since, due_at=due_at)


def _next(words: JourneyWords, here: JourneyState, timers: tuple[Pending, ...]) -> tuple[Next, ...]:
    """What may come next: the part that is encoded already, and what depends on the customer."""
    outlook = words.outlooks[here.persona][here.stage]
    parts = [outlook.by_touchpoint] if outlook.by_touchpoint else []
    for timer, _, due_at in timers:
        if timer.to is not None:
            parts.append(_encode(msgspec.structs.replace(outlook.by_time[timer.rule], due_at=due_at)))
    return cast("tuple[Next, ...]", msgspec.Raw(b"[" + b",".join(parts) + b"]"))
