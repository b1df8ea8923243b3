"""Finding a customer by whatever someone typed: an identifier of any kind, or an id."""

import asyncio

from plumbing.store.reading.customers import Found
from services.api.lookup import Lookup
from services.api.problem import Refusal


async def search(lookup: Lookup, kinds: tuple[str, ...], text: str) -> Found | None:
    """The customer of the strongest kind of identifier that this is the value of; None when it is of none.

    Raises `StoreUnavailable`.
    """
    asked = [_or_none(lookup, kind, text) for kind in kinds]
    found = await asyncio.gather(_by_id(lookup, text), *asked)
    return next((one for one in found if one is not None), None)


async def _by_id(lookup: Lookup, text: str) -> Found | None:
    try:
        return await lookup.by_id(text.strip().lower())
    except Refusal:
        return None


async def _or_none(lookup: Lookup, kind: str, text: str) -> Found | None:
    try:
        return await lookup.by_identifier(kind, text)
    except Refusal:
        return None
