"""Which copy of a touchpoint counts: of all accepted copies of (source, id) the least by (occurred_at, body digest)."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from journey.touchpoint import Touchpoint, body_digest
from plumbing.store.bodies import unpack
from plumbing.store.touchpoints import Key
from services.stager.incoming import Incoming


class Replacement(NamedTuple):
    """A copy that counts in the place of a stored one, and the row of that."""

    one: Incoming
    row: Mapping[str, Any]


class Chosen(NamedTuple):
    """What of a batch counts: touchpoints that are `new`, and those that `replace` a stored copy.

    `noted` tells of the copies that do not count: the least `received_at`, and how many had another body.
    """

    new: list[Incoming]
    replace: list[Replacement]
    noted: dict[Key, tuple[datetime, int]]


def choose(incoming: Iterable[Incoming], stored: Mapping[Key, Mapping[str, Any]]) -> Chosen:
    """Sort a batch out against the rows that are stored already, and against itself."""
    chosen: dict[Key, Incoming] = {}
    noted: dict[Key, tuple[datetime, int]] = {}
    for one in incoming:
        touchpoint = one.touchpoint
        key = (touchpoint.source, touchpoint.id)
        rival = chosen[key].touchpoint if key in chosen else unpack(stored[key]) if key in stored else None
        if rival is None:
            chosen[key] = one
            continue
        conflict, counts = _compare(touchpoint, rival)
        if counts:
            chosen[key] = one
        received_at, conflicts = noted.get(key, (rival.received_at, 0))
        noted[key] = (min(received_at, touchpoint.received_at), conflicts + conflict)
    new = [one for key, one in chosen.items() if key not in stored]
    replace = [Replacement(one, stored[key]) for key, one in chosen.items() if key in stored]
    return Chosen(new, replace, noted)


def _compare(touchpoint: Touchpoint, rival: Touchpoint) -> tuple[bool, bool]:
    """Whether the copy differs from its rival, and whether it is the one that counts."""
    mine, theirs = body_digest(touchpoint), body_digest(rival)
    return mine != theirs, (touchpoint.occurred_at, mine) < (rival.occurred_at, theirs)
