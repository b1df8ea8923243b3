"""What people say about whose touchpoints are whose, against or beyond what the touchpoints say.

    join    two strong identifiers are one person's
    split   two strong identifiers are not one person's: no link may bring them together
    strike  this identifier in that touchpoint is wrong (a card mistyped at the till)
    void    that touchpoint never was (tills void tickets daily)

Commands are timeless: they hold for all touchpoints, whenever those happened or came. Of several on the same object the
last counts, so a `split` of two identifiers takes their `join` back. Joins apply before any link, and whatever
`at_most` says: a person said so.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

Pair = tuple[bytes, bytes]
"""The digests of two identifiers, the lesser first."""


class Verb(StrEnum):
    JOIN = "join"
    SPLIT = "split"
    STRIKE = "strike"
    VOID = "void"


class OnPair(NamedTuple):
    """A `join` or `split`."""

    verb: Verb
    pair: Pair


class OnTouchpoint(NamedTuple):
    """A `void`, or the `strike` of the identifier with this digest."""

    verb: Verb
    source: str
    id: str
    struck: bytes | None = None


Command = OnPair | OnTouchpoint


class InForce(NamedTuple):
    """What a list of commands comes to."""

    joins: frozenset[Pair]
    splits: frozenset[Pair]
    struck: frozenset[tuple[str, str, bytes]]
    void: frozenset[tuple[str, str]]


def pair(one: bytes, other: bytes) -> Pair:
    return (one, other) if one < other else (other, one)


def in_force(commands: Iterable[Command]) -> InForce:
    """What commands say that were given in this order and not undone."""
    pairs: dict[Pair, Verb] = {}
    struck, void = set(), set()
    for command in commands:
        match command:
            case OnPair(verb, about):
                pairs[about] = verb
            case OnTouchpoint(_, source, id_, None):
                void.add((source, id_))
            case OnTouchpoint(_, source, id_, bytes(digest)):
                struck.add((source, id_, digest))
    return InForce(
        frozenset(about for about, verb in pairs.items() if verb is Verb.JOIN),
        frozenset(about for about, verb in pairs.items() if verb is Verb.SPLIT),
        frozenset(struck),
        frozenset(void),
    )
