"""The pages' addresses. Each answers with its page, with the form to sign in, or with what is wrong, in words."""

from collections.abc import Awaitable, Callable

import msgspec
from fastapi import Request, Response
from starlette.responses import RedirectResponse
from starlette.routing import Route

from journey.errors import StoreUnavailable
from plumbing.store.reading.connection import reading
from plumbing.store.reading.feed import kept, messages_after
from plumbing.store.reading.stages import visited
from plumbing.store.reading.timeline import Page, Place, history
from services.api.answers import Profile
from services.api.auth import Reader
from services.api.dashboard.live import Happened, script_words, what_happened
from services.api.dashboard.rendering import language_of, page
from services.api.dashboard.search import search
from services.api.dashboard.session import form_of, sign_in, sign_out
from services.api.dashboard.timeline import entries, lasted, measure_of, sign
from services.api.dashboard.vocabulary import type_labels
from services.api.history import items
from services.api.parts import Parts, parts_of, reader_of
from services.api.problem import NO_TOKEN, UNKNOWN_TOKEN, Refusal
from services.api.routes.journeys import counts_of, stage_page, words_of

_LINES = 40
_CHANGES = 12
_CUSTOMERS = 50

Handler = Callable[[Request, Parts, Reader], Awaitable[Response]]


def _for_readers(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """The page for who has signed in; to others the form."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request, parts_of(request), reader_of(request))
        except Refusal as refusal:
            if refusal.problem in {NO_TOKEN, UNKNOWN_TOKEN}:
                return page(request, "sign_in.html", refused=refusal.problem is UNKNOWN_TOKEN)
            return page(request, "wrong.html", refusal.problem.status, word="not_found")
        except StoreUnavailable:
            return page(request, "wrong.html", 503, word="unavailable")

    return answer


async def _overview(request: Request, parts: Parts, _reader: Reader) -> Response:
    return await _overview_saying(request, parts)


async def _overview_saying(request: Request, parts: Parts, nobody: bool = False) -> Response:
    """The overview; `nobody` was found by what was searched for."""
    catalogue = parts.catalogues.current
    counts = [(words_of(parts, name), await counts_of(parts, name)) for name in sorted(catalogue.journeys)]
    language = language_of(request)
    return page(
        request,
        "overview.html",
        404 if nobody else 200,
        nobody=nobody,
        counts=counts,
        happened=await _latest(parts, language),
        script_words=script_words(catalogue, language),
    )


async def _latest(parts: Parts, language: str) -> list[Happened]:
    async with reading(parts.engine) as connection:
        last = (await kept(connection)).last
        messages = await messages_after(connection, max(0, last - _CHANGES), _CHANGES)
    lines = (what_happened(message, parts.catalogues.current, language) for message in reversed(messages))
    return [line for line in lines if line.customer]  # a version that came into force is about nobody


async def _find(request: Request, parts: Parts, _reader: Reader) -> Response:
    text = (await form_of(request)).get("q", "").strip()
    found = await search(parts.lookup, parts.kind_names, text) if text else None
    if found is None:
        return await _overview_saying(request, parts, nobody=True)
    return RedirectResponse(f"/customers/{parts.profiles.id_of(found)}", 303)


async def _customer(request: Request, parts: Parts, reader: Reader) -> Response:
    found, catalogue = await parts.catalogues.for_customer(lambda: parts.lookup.by_id(request.path_params["id"]))
    personal = reader.sees_personal_data
    profile = msgspec.json.decode(parts.profiles.encode(found, catalogue, personal), type=Profile)
    name = f"page {found.customer}"
    after = parts.cursors.read(name, request.query_params.get("cursor"), Place)
    async with reading(parts.engine) as connection:
        wanted = Page(_LINES + 1, after, newest_first=True)
        rows = await history(connection, found.customer, wanted, with_facts=True, with_retracted=True)
        been = await visited(connection, found.customer)
    language = language_of(request)
    return page(
        request,
        "customer.html",
        profile=profile,
        visited=been,
        personas={here.persona.name: here.persona for here in profile.journeys if here.persona}.values(),
        journeys=[(here, words_of(parts, here.journey)) for here in profile.journeys],
        actions=sorted({one for here in profile.journeys for one in here.actions}, key=lambda one: -one.priority),
        entries=entries(items(rows[:_LINES], catalogue, parts.kinds, personal=personal)),
        next=parts.cursors.write(name, rows[_LINES - 1].place) if len(rows) > _LINES else None,
        journey_label={journey: words.summary.label for journey, words in catalogue.journeys.items()},
        types=type_labels(),
        sign=sign,
        lasted=lambda text: lasted(text, language),
        measure_of=lambda detail: measure_of(detail, language),
    )


async def _stage(request: Request, parts: Parts, reader: Reader) -> Response:
    journey, stage = request.path_params["journey"], request.path_params["stage"]
    found = await stage_page(parts, reader, (journey, stage), _CUSTOMERS, request.query_params.get("cursor"))
    words = words_of(parts, journey)
    return page(request, "stage.html", journey=words.summary, stage=words.stages[stage], found=found)


PAGES = (
    Route("/", _for_readers(_overview)),
    Route("/search", _for_readers(_find), methods=["POST"]),
    Route("/customers/{id}", _for_readers(_customer)),
    Route("/journeys/{journey}/{stage}", _for_readers(_stage)),
    Route("/session", sign_in, methods=["POST"]),
    Route("/session/end", sign_out, methods=["POST"]),
)
