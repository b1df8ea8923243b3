"""The profile of a customer, from the row that the store has of them: the hottest answer of the API."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import cast

import msgspec

from journey.identity import Kinds
from journey.state import CustomerState, JourneyState, decode_state
from journey.timers import Pending, pending
from plumbing.store.reading.customers import Found
from plumbing.store.reading.identifiers import Known, in_order, shown_id
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
        known = in_order(found.identifiers, self._kinds)
        profile = Profile(
            id=known[0].digest.hex(),
            identifiers=self._identifiers(known, personal),
            last_heard_at=state.heard_at,
            traits=state.traits if personal else None,
            journeys=tuple(_journeys(state, catalogue)),
            horizon=found.horizon,
            revision=found.revision,
        )
        return _encode(profile)

    def id_of(self, found: Found) -> str:
        """The id under which the customer is shown."""
        return shown_id(found.identifiers, self._kinds)

    def identifiers(self, known: Iterable[Known], personal: bool) -> tuple[Identifier, ...]:
        """Strong ones first, then in the order in which they came."""
        return self._identifiers(in_order(known, self._kinds), personal)

    def value(self, kind: str, sealed: bytes, personal: bool) -> str:
        """An identifier's value, masked unless `personal`."""
        value = self._sealer.unseal(sealed)
        return value if personal else mask(kind, value)

    def _identifiers(self, known: Iterable[Known], personal: bool) -> tuple[Identifier, ...]:
        unseal, masked = self._sealer.unseal, not personal
        return tuple(
            [
                Identifier(
                    kind=one.kind,
                    value=mask(one.kind, unseal(one.sealed)) if masked else unseal(one.sealed),
                    masked=masked,
                )
                for one in known
            ]
        )


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
        pains=_pains(words, here) if here.open else (),
        objections=_objections(words, here) if here.open else (),
        actions=tuple([words.proposals[name] for name in here.proposed]),
        next=_next(words, here, timers),
    )


def _pains(words: JourneyWords, here: JourneyState) -> tuple[Concern, ...]:
    return tuple(
        Concern(name=name, label=words.pains[name].label, since=since, severity=words.pains[name].severity)
        for name, since in here.open.items()
        if name in words.pains
    )


def _objections(words: JourneyWords, here: JourneyState) -> tuple[Concern, ...]:
    return tuple(
        Concern(name=name, label=words.objections[name].label, since=since, severity=None)
        for name, since in here.open.items()
        if name in words.objections
    )


def _dead_time(here: JourneyState, timers: tuple[Pending, ...]) -> DeadTime:
    for one in timers:
        if one.timer.to is None:
            return DeadTime(since=None, due_at=one.due_at)
    return DeadTime(since=here.dead_since, due_at=None)


def _next(words: JourneyWords, here: JourneyState, timers: tuple[Pending, ...]) -> tuple[Next, ...]:
    """What may come next: the part that is encoded already, and what depends on the customer."""
    outlook = words.outlooks[here.persona][here.stage]
    parts = [outlook.by_touchpoint] if outlook.by_touchpoint else []
    for timer, _, due_at in timers:
        if timer.to is not None:
            parts.append(outlook.by_time[timer.rule] % _encode(due_at))
    return cast("tuple[Next, ...]", msgspec.Raw(b"[" + b",".join(parts) + b"]"))
