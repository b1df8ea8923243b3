"""What people said about touchpoints (`void`, `strike`), heeded when those come."""

from collections.abc import Iterable, Mapping
from typing import Any

from journey.assignment import Names
from journey.commands import InForce, in_force
from journey.errors import Contended
from journey.identity import SIGNED_OUT, Kinds
from journey.touchpoint import Order
from plumbing.store import commands
from plumbing.store.engine import Driver
from plumbing.store.touchpoints import order_of
from services.stager.incoming import Incoming, names_of

NOBODY = Names((), (), ())


class NeedsToBeAlone(Contended):
    """This takes something back that other stagers may be relying on: again, while they wait."""


async def as_told(driver: Driver, incoming: Iterable[Incoming]) -> list[Incoming]:
    """Touchpoints as they count, in order."""
    found = sorted(incoming, key=lambda one: one.order)
    given = await commands.on_touchpoints(driver, [(one.order.source, one.order.id) for one in found])
    if not given:
        return found
    told = in_force(one.command for one in given)
    return [_as_told(one, told) for one in found]


def unchanged(
    rows: Iterable[Mapping[str, Any]], counting: Iterable[Incoming], kinds: Kinds
) -> dict[Order, Mapping[str, Any]]:
    """The stored rows that a copy replaces which names the same identifiers at the same place: the ties stay."""
    stored = {order_of(row): row for row in rows}
    return {
        one.order: row
        for one in counting
        if (row := stored.get(one.order))
        and names_of(row, kinds) == one.names
        and (row["type"] == SIGNED_OUT) == (one.touchpoint.type == SIGNED_OUT)
    }


def _as_told(one: Incoming, told: InForce) -> Incoming:
    _, _, source, id_ = one.order
    found = one.without({carried.digest for carried in one.carried if (source, id_, carried.digest) in told.struck})
    return found._replace(names=NOBODY) if (source, id_) in told.void else found
