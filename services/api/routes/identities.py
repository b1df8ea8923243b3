"""Conflicts between identities, and the commands that settle them."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import APIRouter, Path, Request, Response

from journey.commands import OnPair, Verb
from journey.errors import Fault
from plumbing.store import commands as stored
from plumbing.store.commanding import Ready, Written, give, undo
from plumbing.store.commands import Given
from plumbing.store.engine import transaction
from plumbing.store.keys import Scope
from plumbing.store.reading.conflicts import Conflict, Named, conflicts, place_of
from plumbing.store.reading.connection import reading
from services.api import answers as to
from services.api.bodies import json_of
from services.api.documents import answers, refusals_of_readers, schema_of
from services.api.parts import Parts
from services.api.problem import BAD_CURSOR, BODY_TOO_LARGE, COMMAND_NOT_FOUND, INVALID, Refusal
from services.api.routes.answering import LIMIT, Cursor, Limit, TheParts, TheReader, json

router = APIRouter(tags=["identities"])

_LARGEST_BODY = 16_384
_LARGEST = 2**63 - 1

Result = TypeVar("Result")
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class WantedIdentifier(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    kind: Word
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]


class WantedTouchpoint(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    source: Word
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]


class WantedCommand(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`join` and `split` take two identifiers that name persons, `void` a touchpoint, `strike` a touchpoint and the one
    of its identifiers that is wrong."""

    verb: Verb
    identifiers: Annotated[tuple[WantedIdentifier, ...], msgspec.Meta(max_length=2)] = ()
    touchpoint: WantedTouchpoint | None = None


_decode = msgspec.json.Decoder(WantedCommand).decode


@router.get("/v1/conflicts", responses=answers(to.Page[to.Conflict], "what waits", BAD_CURSOR, INVALID))
async def conflicts_page(parts: TheParts, reader: TheReader, limit: Limit = LIMIT, cursor: Cursor = None) -> Response:
    """Links that were refused because they would have welded two people, and identifiers that many people share."""
    after = parts.cursors.read("conflicts", cursor, tuple[bytes, bytes])
    async with reading(parts.engine) as connection:
        found = await conflicts(connection, limit + 1, after)
    items = tuple(_conflict(one, parts, personal=reader.sees_personal_data) for one in found[:limit])
    behind = parts.cursors.write("conflicts", place_of(found[limit - 1])) if len(found) > limit else None
    return json(to.Page(items=items, next=behind))


@router.get("/v1/commands", responses=answers(to.Page[to.Command], "the commands", BAD_CURSOR, INVALID))
async def commands_page(parts: TheParts, reader: TheReader, limit: Limit = LIMIT, cursor: Cursor = None) -> Response:
    """What was said about identities, the last first, undone ones as well."""
    before = parts.cursors.read("commands", cursor, int)
    async with transaction(parts.engine) as driver:
        found = await stored.newest(driver, _LARGEST if before is None else before, limit + 1)
    items = tuple(_command(one, parts, personal=reader.sees_personal_data) for one in found[:limit])
    behind = parts.cursors.write("commands", found[limit - 1].number) if len(found) > limit else None
    return json(to.Page(items=items, next=behind))


@router.post(
    "/v1/commands",
    responses=answers(to.CommandGiven, "it is given: a stager applies it within a second", INVALID, BODY_TOO_LARGE),
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema_of(WantedCommand)}}}
    },
)
async def command(parts: TheParts, reader: TheReader, request: Request) -> Response:
    """Say that two identifiers are or are not one person's, or that a touchpoint or one of its identifiers is wrong."""
    reader.require(Scope.ADMIN)
    ready = _ready(parts, await _wanted(request))
    return json(to.CommandGiven(command=await _to_the_end(give(parts.engine, ready, reader.name))))


@router.delete(
    "/v1/commands/{command}",
    status_code=204,
    responses={204: {"description": "it is undone"}, **refusals_of_readers(COMMAND_NOT_FOUND, INVALID)},
)
async def undo_command(
    parts: TheParts, reader: TheReader, command: Annotated[int, Path(ge=1, le=_LARGEST)]
) -> Response:
    """Undo a command: what it said is taken back, and what it changed is as if it had never been given."""
    reader.require(Scope.ADMIN)
    if not await _to_the_end(undo(parts.engine, command)):
        raise Refusal(COMMAND_NOT_FOUND)
    return Response(status_code=204, headers={"cache-control": "no-store"})


async def _to_the_end(write: Coroutine[Any, Any, Result]) -> Result:
    """A write that goes on when its caller hangs up: a connection that is left in the middle of one is lost."""
    return await asyncio.shield(asyncio.ensure_future(write))


async def _wanted(request: Request) -> WantedCommand:
    return await json_of(
        request,
        _LARGEST_BODY,
        _decode,
        "a verb (join, split, strike, void), with the identifiers and touchpoint it needs",
    )


def _ready(parts: Parts, wanted: WantedCommand) -> Ready:
    named = [Written(one.kind, one.value) for one in wanted.identifiers]
    match wanted.verb, named, wanted.touchpoint:
        case ((Verb.JOIN | Verb.SPLIT), [one, other], None):
            return parts.commanding.on_pair(wanted.verb, one, other)
        case Verb.VOID, [], WantedTouchpoint(source=source, id=id_):
            return parts.commanding.on_touchpoint(source, id_)
        case Verb.STRIKE, [struck], WantedTouchpoint(source=source, id=id_):
            return parts.commanding.on_touchpoint(source, id_, struck)
    fault = Fault("", "join and split take two identifiers, void a touchpoint, strike a touchpoint and an identifier")
    raise Refusal(INVALID, faults=(fault,))


def _conflict(found: Conflict, parts: Parts, *, personal: bool) -> to.Conflict:
    return to.Conflict(
        reason="link" if found.other else "shared",
        one=_identifier(found.one, parts, personal),
        other=found.other and _identifier(found.other, parts, personal),
        refused_links=found.refused,
        first_seen=found.first and to.TouchpointKey(source=found.first[0], id=found.first[1]),
    )


def _command(found: Given, parts: Parts, *, personal: bool) -> to.Command:
    about = found.command
    digests = about.pair if isinstance(about, OnPair) else (about.struck,) if about.struck else ()
    named = map(Named, digests, found.kinds, found.sealed)
    return to.Command(
        command=found.number,
        verb=about.verb,
        identifiers=tuple(_identifier(one, parts, personal) for one in named),
        touchpoint=None if isinstance(about, OnPair) else to.TouchpointKey(source=about.source, id=about.id),
        given_by=found.given_by,
        given_at=found.given_at,
        undone_at=found.undone_at,
        pending=found.pending,
    )


def _identifier(one: Named, parts: Parts, personal: bool) -> to.NamedIdentifier:
    value = parts.profiles.value(one.kind, one.sealed, personal)
    return to.NamedIdentifier(id=one.digest.hex(), kind=one.kind, value=value, masked=not personal)
