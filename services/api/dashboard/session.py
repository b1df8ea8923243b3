"""Signing in by token, and out. The cookie is out of reach of scripts and of other sites."""

from urllib.parse import parse_qs

from fastapi import Request, Response
from starlette.responses import RedirectResponse

from services.api.auth import SESSION_COOKIE, SESSION_LENGTH
from services.api.bodies import body_of
from services.api.dashboard.rendering import page
from services.api.parts import parts_of
from services.api.problem import Refusal

_LARGEST_FORM = 8_192


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a posted form. Raises `Refusal` (body-too-large)."""
    body = await body_of(request, _LARGEST_FORM)
    return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


async def sign_in(request: Request) -> Response:
    """Open a session for whoever has this token."""
    token = (await form_of(request)).get("token", "").strip()
    try:
        session = parts_of(request).gate.open_session(token)
    except Refusal:
        return page(request, "sign_in.html", 401, refused=True)
    response = RedirectResponse("/", 303)
    response.set_cookie(
        SESSION_COOKIE,
        session,
        max_age=int(SESSION_LENGTH.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https",
    )
    return response


async def sign_out(_request: Request) -> Response:
    """End the session on this browser."""
    response = RedirectResponse("/", 303)
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
    return response
