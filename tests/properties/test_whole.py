"""Identity worked out at once, for answers about the past, is the reference's."""

from collections import defaultdict

from hypothesis import given
from msgspec.structs import replace

from journey.commands import Command
from journey.touchpoint import Touchpoint
from journey.whole import work_out
from tests.properties.test_identity import KIND_OF, KINDS, POOL, REFERENCE, life, seeds, that_count


@given(seeds)
def test_a_whole_set_at_once_is_the_reference(seed: int) -> None:
    told: list[Touchpoint] = []
    commands: list[Command] = []
    for one in life(seed, 40):
        if isinstance(one, Touchpoint):
            told.append(one)
        elif isinstance(one, int):
            del commands[one : one + 1]
        else:
            commands.append(one)
    counting = that_count(told)
    whole = work_out(map(stored, counting), commands, KINDS, KIND_OF)
    groups = defaultdict(set)
    for touchpoint, by in whole.belonging:
        groups[whole.customer(by.owner)].add((touchpoint.source, touchpoint.id))
    assert {frozenset(group) for group in groups.values()} == REFERENCE.assign(counting, commands).groups


def stored(touchpoint: Touchpoint) -> Touchpoint:
    """As the store keeps it: identifiers as digests."""
    digests = {one.kind: POOL[one.kind, one.value, one.scope].hex() for one in KINDS.identifiers(touchpoint)}
    return replace(touchpoint, identifiers=digests)
