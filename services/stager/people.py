"""Strong identifiers: which links a batch makes, and what customers follow from that.

Nothing is resolved unless a link appears, disappears or gets an earlier place in the order: who comes back with what is
known of them costs one look.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from journey.commands import InForce, Pair, in_force
from journey.errors import Contended
from journey.links import Link, Resolution, Rules, resolve
from journey.touchpoint import Order
from plumbing.store import commands, customers, links, touchpoints
from services.stager.tying import Work

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""`first_at` of an identifier that no touchpoint carries."""


async def settle(work: Work, pairs: Collection[Pair], fresh: Collection[bytes]) -> None:
    """Find out who is who with the links of this batch, and without those of what is withdrawn.

    `pairs` are of commands that were given or undone, `fresh` the strong identifiers that the store does not know. All
    others must be known.
    """
    made = _made(work)
    lost = {pair for one in work.withdrawn for pair in _pairs(one.names.strong)}
    stored = await links.find(work.driver, [pair for pair in made.keys() | lost if work.known.keys() >= {*pair}])
    changed: dict[Pair, Order | None] = {
        pair: order for pair, order in made.items() if pair not in stored or order < stored[pair].first
    }
    ends = {end for pair in [*changed, *pairs] for end in pair} | {
        name for one in work.withdrawn for name in one.names.strong
    }
    nodes: dict[bytes, str] = {}
    work.seeds = frozenset(ends & work.known.keys())
    if work.seeds:
        nodes = await links.reached(work.driver, work.seeds)
    among = await links.among(work.driver, nodes)
    work.closure = nodes, among
    await work.learn(nodes)
    if work.withdrawn:
        changed |= await _next_occurrences(work, lost, among)
    if not (ends or fresh):
        return
    given = await commands.on_pairs(work.driver, {*nodes, *fresh}) if nodes or pairs else []
    found = _resolve(work, nodes, fresh, among, changed, in_force(one.command for one in given))
    work.unlinked = [pair for pair, order in changed.items() if order is None]
    await _give_customers(work, found)


async def check(work: Work) -> None:
    """With the customers locked, see that nobody changed the links in between. Raises `Contended`."""
    if work.seeds:
        found = await links.reached(work.driver, work.seeds)
        nodes = {name: kind for name, kind in found.items() if name not in work.introduced}
        if work.closure != (nodes, await links.among(work.driver, nodes)):
            raise Contended("another stager linked these customers")


def _pairs(strong: Sequence[bytes]) -> list[Pair]:
    return [(strong[0], other) for other in strong[1:]]


def _made(work: Work) -> dict[Pair, Order]:
    """The links of the batch, each at its first place."""
    made: dict[Pair, Order] = {}
    for one in work.batch:
        for pair in _pairs(one.names.strong):
            made.setdefault(pair, one.order)
    return made


async def _next_occurrences(work: Work, lost: Collection[Pair], among: links.Links) -> dict[Pair, Order | None]:
    """Where links first occur that lost their first touchpoint, and since when its identifiers are known."""
    theirs = {customer for digest in work.closure[0] if (customer := work.known[digest].customer) is not None}
    rows = [work.seen(row) for row in await touchpoints.rows_of(work.driver, theirs)]
    remaining = sorted([*(one for one in rows if one.key not in work.gone), *work.batch], key=lambda one: one.order)
    again: dict[Pair, Order] = {}
    first: dict[bytes, Order] = {}
    for one in remaining:
        for pair in _pairs(one.names.strong):
            again.setdefault(pair, one.order)
        for name in one.names.strong:
            first.setdefault(name, one.order)
    for name in {name for one in work.withdrawn for name in one.names.strong}:
        work.seen_from[name] = first[name].occurred_at if name in first else NEVER
    return {pair: again.get(pair) for pair in lost if pair in among and again.get(pair) != among[pair].first}


def _resolve(
    work: Work,
    nodes: Mapping[bytes, str],
    fresh: Collection[bytes],
    among: links.Links,
    changed: Mapping[Pair, Order | None],
    told: InForce,
) -> Resolution:
    kind_of = {**nodes, **{name: work.kind_of(name) for name in {*fresh, *(end for pair in changed for end in pair)}}}
    firsts: dict[Pair, Order | None] = {**{pair: stored.first for pair, stored in among.items()}, **changed}
    all_links = {pair: Link(*pair, first) for pair, first in firsts.items() if first is not None}
    kinds = set(kind_of.values())
    rules = Rules(
        kind_of,
        {kind: work.kinds.rank(kind) for kind in kinds},
        {kind: work.kinds.declared(kind).most for kind in kinds},
        work.kinds.shared_above,
    )
    joins = [pair for pair in told.joins if pair[0] in kind_of and pair[1] in kind_of]
    found = resolve(sorted(kind_of), all_links.values(), joins, told.splits, rules)
    of_shared = {pair for pair in all_links if found.shared & {*pair}}
    work.refused = frozenset(found.refused | of_shared)
    work.shared, work.resolved = found.shared, frozenset(kind_of)
    work.linked = [
        link
        for pair, link in all_links.items()
        if pair not in among or among[pair] != (link.first, pair in work.refused)
    ]
    return found


async def _give_customers(work: Work, found: Resolution) -> None:
    """A customer for each person: the least number that one of their identifiers stands for, or a new one."""
    had = {name: work.known[name].customer for people in found.people for name in people if name in work.known}
    numbers = {people: sorted({had[name] or 0 for name in people if name in had} - {0}) for people in found.people}
    taken: set[int] = set()
    strangers = []
    for people in sorted(found.people, key=lambda people: (not numbers[people], numbers[people], min(people))):
        number = next((number for number in numbers[people] if number not in taken), None)
        if number is None:
            strangers.append(people)
        else:
            taken.add(number)
            work.assigned |= {name: number for name in people if had.get(name) != number}
    for people, number in zip(strangers, await customers.make(work.driver, len(strangers)), strict=True):
        work.assigned |= dict.fromkeys(people, number)
    before = {number for number in had.values() if number}
    parted = {had[name] for name in work.assigned if name in had}
    work.emptied = before - taken
    work.touched |= before
    work.refold |= {number for number in parted if number} | {
        work.assigned[name] for name in work.assigned if name in had
    }
