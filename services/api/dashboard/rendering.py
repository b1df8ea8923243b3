"""Templates, and what every page has: its language, its words, and headers that let no foreign script in."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from services.api.answers import Identifier
from services.api.dashboard.words import LANGUAGES, choose, said, words_in

LANGUAGE_COOKIE = "jalon_lang"

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}

_MONTHS = {
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "fr": ("janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."),
}

_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def language_of(request: Request) -> str:
    return choose(
        request.query_params.get("lang"),
        request.cookies.get(LANGUAGE_COOKIE),
        request.headers.get("accept-language", ""),
    )


def page(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A page in the reader's language; who follows a link with ?lang= keeps that language."""
    language = language_of(request)
    words = words_in(language)
    html = _environment.get_template(template).render(
        lang=language,
        other_lang=LANGUAGES[1 - LANGUAGES.index(language)],
        path=request.url.path,
        t=words,
        say=lambda label, otherwise="": said(label, language, otherwise),
        when=lambda instant: _when(instant, language),
        kind_of=lambda kind: words.get(f"kind_{kind}", kind.replace("_", " ")),
        name_of=_name_of,
        **values,
    )
    response = Response(html, status, dict(_HEADERS), "text/html")
    if request.query_params.get("lang") in LANGUAGES:
        response.set_cookie(LANGUAGE_COOKIE, language, httponly=True, samesite="strict", max_age=31_536_000)
    return response


def _name_of(identifiers: Sequence[Identifier]) -> str:
    """What a person would call the customer: the e-mail address if there is one."""
    return next((one.value for one in identifiers if one.kind == "email"), identifiers[0].value)


def _when(instant: datetime, language: str) -> Markup:
    """An instant, in UTC; the page's script says it in the reader's own time."""
    shown = f"{instant.day} {_MONTHS[language][instant.month - 1]} {instant.year}, {instant:%H:%M}"
    return Markup('<time datetime="{}">{}</time>').format(instant.isoformat(), shown)
