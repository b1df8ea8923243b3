"""A customer, by an id or by an identifier, now or as they were. `hot.py` answers most of it without any of this."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from services.api.answers import Profile
from services.api.bodies import json_of
from services.api.documents import IF_NONE_MATCH, answers, schema_of
from services.api.hot import matches
from services.api.lookup import Asked
from services.api.problem import BODY_TOO_LARGE, CUSTOMER_NOT_FOUND, INVALID, TOO_MUCH
from services.api.routes.answering import CustomerId, TheParts, TheReader, TheTime, encoded, etag_of

router = APIRouter(tags=["customers"])

_LARGEST_BODY = 16_384

_PROFILE = answers(
    Profile, "where the customer is, why, and what may come next", CUSTOMER_NOT_FOUND, INVALID, TOO_MUCH, tagged=True
)


class Wanted(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An identifier. `source` is who sent it, for kinds whose values count within one source only."""

    kind: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
    source: Annotated[str, msgspec.Meta(max_length=255)] = ""


_decode = msgspec.json.Decoder(Wanted).decode


@router.get("/v1/customers/{id}", responses=_PROFILE, openapi_extra=IF_NONE_MATCH)
async def profile(
    parts: TheParts,
    reader: TheReader,
    request: Request,
    when: TheTime,
    id: CustomerId,  # noqa: A002
) -> Response:
    """The customer of this id: stage in every journey, since when, why, and what may come next."""
    return await _answer(parts, reader, request, parts.lookup.id(id), when)


@router.get("/v1/customers/by/{kind}/{value:path}", responses=_PROFILE, openapi_extra=IF_NONE_MATCH)
async def profile_by_identifier(
    parts: TheParts,
    reader: TheReader,
    request: Request,
    when: TheTime,
    kind: Annotated[str, Path(description="`email`, `phone`, `loyalty_card`, `anonymous_id`, `order_id` …")],
    value: Annotated[str, Path(description="However it is spelled.")],
    source: Annotated[str, Query(description="Who sent it, where values count within one source only.")] = "",
) -> Response:
    """The same of whom this identifier names now. `lookup` keeps it out of logs of URLs."""
    return await _answer(parts, reader, request, parts.lookup.identifier(kind, value, source), when)


@router.post(
    "/v1/customers/lookup",
    responses=answers(Profile, "the profile", CUSTOMER_NOT_FOUND, INVALID, TOO_MUCH, BODY_TOO_LARGE, tagged=True),
    openapi_extra={
        **IF_NONE_MATCH,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema_of(Wanted)}}},
    },
)
async def look_up(parts: TheParts, reader: TheReader, request: Request, when: TheTime) -> Response:
    """The profile of whom this identifier names now."""
    wanted = await _wanted(request)
    asked = parts.lookup.identifier(wanted.kind, wanted.value, wanted.source)
    return await _answer(parts, reader, request, asked, when)


async def _answer(parts: TheParts, reader: TheReader, request: Request, asked: Asked, when: TheTime) -> Response:
    personal = reader.sees_personal_data
    if when.known_at is not None:
        remembered = await parts.past.known_at(asked, when.known_at, when.at)
        return encoded(parts.profiles.encode(remembered.as_found(), remembered.catalogue, personal))
    found, catalogue = await parts.catalogues.for_customer(lambda: parts.lookup.find(asked))
    etag = parts.profiles.etag(found, catalogue, personal) if when.now else etag_of(parts, found, reader, request)
    if matches(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers={"etag": etag})
    if when.at is not None:
        found = await parts.past.at(found, catalogue, when.at)
    return encoded(parts.profiles.encode(found, catalogue, personal), {"etag": etag})


async def _wanted(request: Request) -> Wanted:
    return await json_of(
        request, _LARGEST_BODY, _decode, "an object with kind, value and perhaps source, all of them strings"
    )
