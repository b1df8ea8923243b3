"""The versions of a journey: published, tried on everybody's history, put in force. Stagers do the work."""

from collections.abc import Mapping
from typing import Annotated, Any, cast

from fastapi import APIRouter, Path, Query, Request, Response

from journey.advice import advise
from journey.definition import parse
from journey.errors import AlreadyPublished, Fault, InvalidDefinition
from journey.grammar import Definition
from journey.vocabulary import company_types
from plumbing.store import builds
from plumbing.store.build_requests import request as request_build
from plumbing.store.builds import Build
from plumbing.store.definitions import in_force, publish
from plumbing.store.engine import driver_of
from plumbing.store.keys import Scope
from plumbing.store.reading.connection import reading
from plumbing.store.reading.definitions import versions
from plumbing.store.reading.dry_runs import Foretold, Sample, foretold
from schemas import vocabulary_document
from services.api import answers as to
from services.api.bodies import body_of
from services.api.documents import Responses, answers
from services.api.parts import Parts
from services.api.problem import (
    ALREADY_IN_FORCE,
    ALREADY_PUBLISHED,
    BODY_TOO_LARGE,
    INVALID,
    NOT_BUILT,
    VERSION_NOT_FOUND,
    Problem,
    Refusal,
)
from services.api.routes.answering import TheParts, TheReader, encode, json
from services.api.routes.journeys import Journey

router = APIRouter(tags=["journeys"])

_LARGEST_BODY = 200_000
_LARGEST_VERSION = 1_000_000

Version = Annotated[int, Path(ge=1, le=_LARGEST_VERSION, description="One of its published versions.")]
Samples = Annotated[int, Query(ge=0, le=20, description="Customers to show of each pair of stages.")]

_YAML = {"requestBody": {"required": True, "content": {"application/yaml": {"schema": {"type": "string"}}}}}


def _accepted(*problems: Problem) -> Responses:
    """The answers of a route that asks for work: it is begun, or one of these problems."""
    documented = answers(to.Build, "asked for; ask `dry-run` how far it is", *problems)
    return {202: documented.pop(200), **documented}


@router.post(
    "/v1/journeys/{journey}/versions",
    responses=answers(to.PublishedVersion, "published", INVALID, ALREADY_PUBLISHED, BODY_TOO_LARGE),
    openapi_extra=_YAML,
)
async def publish_version(parts: TheParts, reader: TheReader, request: Request, journey: Journey) -> Response:
    """Publish a definition (YAML, or JSON) as a version, not in force yet. It is checked, and never changes again."""
    reader.require(Scope.ADMIN)
    document = await body_of(request, _LARGEST_BODY)
    try:
        text = document.decode()
        _require_name(parse(text), journey)
        published = await publish(parts.engine, text)
    except UnicodeDecodeError:
        raise Refusal(INVALID, "The body is not UTF-8 text.") from None
    except AlreadyPublished as error:
        raise Refusal(ALREADY_PUBLISHED, faults=error.faults) from None
    except InvalidDefinition as error:
        faults = error.faults or (Fault("", str(error)),)
        raise Refusal(INVALID, "The definition does not hold together.", tuple(map(_sayable, faults))) from None
    doubts = advise(published.definition, company_types(vocabulary_document()))
    return json(
        to.PublishedVersion(
            journey=journey,
            version=published.definition.version,
            new=published.new,
            doubts=tuple(to.Doubt(pointer=doubt.pointer, detail=doubt.detail) for doubt in doubts),
        )
    )


@router.post(
    "/v1/journeys/{journey}/versions/{version}/dry-run",
    status_code=202,
    responses=_accepted(VERSION_NOT_FOUND, ALREADY_IN_FORCE, INVALID),
)
async def begin_dry_run(parts: TheParts, reader: TheReader, journey: Journey, version: Version) -> Response:
    """Ask for every customer to be folded under this version, beside the one in force. Nobody is touched."""
    reader.require(Scope.ADMIN)
    return await _ask(parts, journey, version, activate=False)


@router.post(
    "/v1/journeys/{journey}/versions/{version}/activate",
    status_code=202,
    responses=_accepted(VERSION_NOT_FOUND, ALREADY_IN_FORCE, INVALID),
)
async def activate(parts: TheParts, reader: TheReader, journey: Journey, version: Version) -> Response:
    """Ask for this version to be built, if it is not yet, and put in force: for everybody at one instant."""
    reader.require(Scope.ADMIN)
    return await _ask(parts, journey, version, activate=True)


@router.get(
    "/v1/journeys/{journey}/versions/{version}/dry-run",
    responses=answers(to.DryRun, "how far it is, and what it says", NOT_BUILT, INVALID),
)
async def dry_run(
    parts: TheParts, _reader: TheReader, journey: Journey, version: Version, samples: Samples = 3
) -> Response:
    """Who would be in which stage, as far as it is built; some customers of each pair of stages with the reasons."""
    async with reading(parts.engine) as connection:
        driver = await driver_of(connection)
        build = await builds.latest(driver, journey, version)
        if build is None:
            raise Refusal(NOT_BUILT)
        found = await foretold(driver, build, parts.kinds.strong, samples)
        before = (await in_force(driver)).get(journey)
    cells = tuple(_cell(one, before, version) for one in found)
    moved = sum(cell.customers for cell in cells if cell.from_stage != cell.to_stage)
    return json(to.DryRun(build=_build(build), moved=moved, matrix=cells))


async def _ask(parts: Parts, journey: str, version: int, *, activate: bool) -> Response:
    async with reading(parts.engine) as connection:
        known = {one.version: one.active for one in await versions(connection, journey)}
    if version not in known:
        raise Refusal(VERSION_NOT_FOUND)
    if known[version]:
        raise Refusal(ALREADY_IN_FORCE)
    number = await request_build(parts.engine, journey, version, activate=activate)
    async with reading(parts.engine) as connection:
        build = await builds.find(await driver_of(connection), number)
    return Response(encode(_build(build)), 202, {"cache-control": "no-store"}, "application/json")


def _require_name(definition: Definition, journey: str) -> None:
    if definition.journey != journey:
        raise InvalidDefinition(faults=(Fault("/journey", "expected the journey that the path names"),))


def _sayable(fault: Fault) -> Fault:
    """A name of the document may be one that no JSON can say."""
    return Fault(*(part.encode(errors="replace").decode() for part in (fault.pointer, fault.detail)))


def _build(build: Build) -> to.Build:
    return to.Build(
        journey=build.journey,
        version=build.version,
        state=build.state,
        activate=build.activate,
        folded=build.folded,
        customers=max(build.customers, build.folded),
        began_at=build.began_at,
        ended_at=build.ended_at,
        refused=(build.outcome or {}).get("refused"),
    )


def _cell(one: Foretold, before: int | None, now: int) -> to.MatrixCell:
    return to.MatrixCell(
        from_stage=one.cell.before,
        to_stage=one.cell.now,
        customers=one.cell.customers,
        samples=tuple(_sample(sample, before, now) for sample in one.samples),
    )


def _sample(sample: Sample, before: int | None, now: int) -> to.MatrixSample:
    explained = [
        None
        if here is None
        else to.Explanation(
            stage=here.stage,
            since=here.entered_at,
            run=here.run,
            rule=here.rule,
            version=version or 0,
            cause=cast("Mapping[str, Any]", here.cause),
        )
        for here, version in ((sample.before, before), (sample.now, now))
    ]
    return to.MatrixSample(id=sample.customer, before=explained[0], now=explained[1])
