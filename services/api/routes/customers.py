"""A customer by an identifier that should not stand in a URL. The other ways to a profile are in `hot.py`."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response

from journey.errors import Fault
from services.api.answers import Profile
from services.api.bodies import body_of
from services.api.documents import IF_NONE_MATCH, answers, schema_of
from services.api.hot import matches
from services.api.problem import BODY_TOO_LARGE, CUSTOMER_NOT_FOUND, INVALID, Refusal
from services.api.routes.answering import TheParts, TheReader, encoded

router = APIRouter(tags=["customers"])

_LARGEST_BODY = 16_384


class Wanted(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An identifier. `source` is who sent it, for kinds whose values count within one source only."""

    kind: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
    source: Annotated[str, msgspec.Meta(max_length=255)] = ""


_decode = msgspec.json.Decoder(Wanted).decode


@router.post(
    "/v1/customers/lookup",
    responses=answers(Profile, "the profile", CUSTOMER_NOT_FOUND, INVALID, BODY_TOO_LARGE, tagged=True),
    openapi_extra={
        **IF_NONE_MATCH,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema_of(Wanted)}}},
    },
)
async def look_up(parts: TheParts, reader: TheReader, request: Request) -> Response:
    """The profile of whom this identifier names now."""
    wanted = await _wanted(request)
    found, catalogue = await parts.catalogues.for_customer(
        lambda: parts.lookup.by_identifier(wanted.kind, wanted.value, wanted.source)
    )
    personal = reader.sees_personal_data
    etag = parts.profiles.etag(found, catalogue, personal)
    if matches(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers={"etag": etag})
    return encoded(parts.profiles.encode(found, catalogue, personal), {"etag": etag})


async def _wanted(request: Request) -> Wanted:
    body = await body_of(request, _LARGEST_BODY)
    try:
        return _decode(body)
    except msgspec.ValidationError:
        fault = Fault("", "expected an object with kind, value and perhaps source, all of them strings")
        raise Refusal(INVALID, faults=(fault,)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Refusal(INVALID, "The body is not JSON.") from None
