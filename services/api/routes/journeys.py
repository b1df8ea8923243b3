"""The journeys: their definitions, their diagrams, who is in which stage, and how many."""

from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from journey.definition import to_json
from journey.diagram import Format, Language
from journey.diagram import diagram as drawn
from plumbing.store.reading.connection import reading
from plumbing.store.reading.definitions import versions
from plumbing.store.reading.identifiers import identifiers_of, shown_id
from plumbing.store.reading.stages import how_many, reached_at, who_is_in
from services.api import answers as to
from services.api.auth import Reader
from services.api.catalogue import JourneyWords
from services.api.documents import answers, refusals_of_readers
from services.api.parts import Parts
from services.api.problem import BAD_CURSOR, INVALID, JOURNEY_NOT_FOUND, STAGE_NOT_FOUND, Refusal
from services.api.routes.answering import LIMIT, Cursor, Limit, TheParts, TheReader, json

router = APIRouter(tags=["journeys"])

Journey = Annotated[str, Path(description="A journey's name, such as `customer-journey`.")]


_MEDIA = {Format.MERMAID: "text/vnd.mermaid", Format.SVG: "image/svg+xml"}


def words_of(parts: Parts, journey: str) -> JourneyWords:
    """The journey of this name. Raises `Refusal` (journey-not-found), `StoreUnavailable`."""
    words = parts.catalogues.current.journeys.get(journey)
    if words is None:
        raise Refusal(JOURNEY_NOT_FOUND)
    return words


@router.get("/v1/journeys", responses=answers(to.Page[to.JourneySummary], "all journeys"))
async def journeys(parts: TheParts, _reader: TheReader) -> Response:
    """The journeys that are followed, each in the version that is in force."""
    summaries = tuple(words.summary for _, words in sorted(parts.catalogues.current.journeys.items()))
    return json(to.Page(items=summaries, next=None))


@router.get("/v1/journeys/{journey}", responses=answers(to.JourneyDetail, "the definition", JOURNEY_NOT_FOUND))
async def journey_detail(parts: TheParts, _reader: TheReader, journey: Journey) -> Response:
    """The definition in force, and what versions there are."""
    words = words_of(parts, journey)
    async with reading(parts.engine) as connection:
        published = await versions(connection, journey)
    return json(
        to.JourneyDetail(
            journey=journey,
            version=words.machine.version,
            label=words.summary.label,
            stages=words.summary.stages,
            definition=msgspec.json.decode(to_json(words.definition)),
            versions=tuple(to.VersionSummary(**version._asdict()) for version in published),
        )
    )


@router.get(
    "/v1/journeys/{journey}/diagram",
    responses={
        200: {
            "description": "the drawn machine",
            "content": {media: {"schema": {"type": "string"}} for media in _MEDIA.values()},
        },
        **refusals_of_readers(JOURNEY_NOT_FOUND, INVALID),
    },
)
async def diagram(
    parts: TheParts,
    _reader: TheReader,
    request: Request,
    journey: Journey,
    format: Annotated[Format | None, Query(description="Else by Accept; Mermaid if that leaves it open.")] = None,  # noqa: A002
    lang: Language = Language.EN,
) -> Response:
    """The machine as the definition in force draws it."""
    definition = words_of(parts, journey).definition
    wanted = format or (Format.SVG if _MEDIA[Format.SVG] in request.headers.get("accept", "") else Format.MERMAID)
    headers = {"vary": "accept", "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Response(drawn(definition, wanted, lang), 200, headers, _MEDIA[wanted])


@router.get("/v1/journeys/{journey}/counts", responses=answers(to.Counts, "how many", JOURNEY_NOT_FOUND))
async def counts(parts: TheParts, _reader: TheReader, journey: Journey) -> Response:
    """How many customers are in each stage now."""
    return json(await counts_of(parts, journey))


async def counts_of(parts: Parts, journey: str) -> to.Counts:
    """How many customers are in each stage now. Raises `Refusal` (journey-not-found), `StoreUnavailable`."""
    words = words_of(parts, journey)
    async with reading(parts.engine) as connection:
        found, as_of = await how_many(connection, journey), await reached_at(connection)
    stages = tuple(to.StageCount(stage=stage, customers=found.get(name, 0)) for name, stage in words.stages.items())
    return to.Counts(journey=journey, as_of=as_of, stages=stages)


@router.get(
    "/v1/journeys/{journey}/stages/{stage}/customers",
    responses=answers(
        to.PageAsOf[to.CustomerInStage], "who is there", JOURNEY_NOT_FOUND, STAGE_NOT_FOUND, BAD_CURSOR, INVALID
    ),
)
async def customers_in_stage(
    parts: TheParts,
    reader: TheReader,
    journey: Journey,
    stage: str,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Response:
    """Who is in this stage now, those who have been there longest first."""
    return json(await stage_page(parts, reader, (journey, stage), limit, cursor))


async def stage_page(
    parts: Parts, reader: Reader, where: tuple[str, str], limit: int, cursor: str | None
) -> to.PageAsOf[to.CustomerInStage]:
    """A page of who is in a journey's stage now.

    Raises `Refusal` (journey-not-found, stage-not-found, bad-cursor), `StoreUnavailable`.
    """
    journey, stage = where
    if stage not in words_of(parts, journey).stages:
        raise Refusal(STAGE_NOT_FOUND)
    name = f"stage {journey} {stage}"
    after = parts.cursors.read(name, cursor, tuple[datetime, int])
    async with reading(parts.engine) as connection:
        stays = await who_is_in(connection, journey, stage, limit + 1, after)
        known = await identifiers_of(connection, [stay.customer for stay in stays[:limit]])
        as_of = await reached_at(connection)
    shown = tuple(
        to.CustomerInStage(
            id=shown_id(known[stay.customer], parts.kinds),
            identifiers=parts.profiles.identifiers(known[stay.customer], reader.sees_personal_data),
            since=stay.entered_at,
            run=stay.run,
        )
        for stay in stays[:limit]
    )
    more = len(stays) > limit
    last = stays[limit - 1] if more else None
    behind = parts.cursors.write(name, (last.entered_at, last.customer)) if last else None
    return to.PageAsOf(items=shown, next=behind, as_of=as_of)
