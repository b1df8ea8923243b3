"""Turns whatever a route raises into a problem. Nothing that was sent is echoed, as the stock handlers would."""

import logging
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from journey.errors import CallerFault, Fault, OurFault
from plumbing.telemetry import Action, log
from services.api.problem import INTERNAL, INVALID, METHOD_NOT_ALLOWED, NOT_FOUND, UNAVAILABLE, Refusal


def refuse_as_problems(app: FastAPI) -> None:
    """Give the application its handlers."""
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(CallerFault, _caller_fault)
    app.add_exception_handler(OurFault, _our_fault)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unforeseen)


def response_of(refusal: Refusal) -> Response:
    """The answer that says this."""
    return Response(refusal.body, refusal.problem.status, refusal.headers)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return response_of(error)


async def _caller_fault(_request: Request, _error: Exception) -> Response:
    return response_of(Refusal(INVALID))


async def _our_fault(_request: Request, error: Exception) -> Response:
    log(Action.REQUEST_FAILED, logging.WARNING, exc=error)
    return response_of(Refusal(UNAVAILABLE))


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return response_of(Refusal(INVALID, faults=tuple(_fault(fault) for fault in error.errors())))


def _fault(fault: dict[str, Any]) -> Fault:
    """Where it is and which rule it breaks; the library's own message may quote what was sent."""
    return Fault(
        "/" + "/".join(str(part) for part in fault["loc"]), f"does not hold: {fault['type'].replace('_', ' ')}"
    )


async def _http(_request: Request, error: Exception) -> Response:
    """What the router itself refuses."""
    assert isinstance(error, HTTPException)
    if error.status_code == METHOD_NOT_ALLOWED.status:
        response = response_of(Refusal(METHOD_NOT_ALLOWED))
        response.headers.update(error.headers or {})
        return response
    return response_of(Refusal(NOT_FOUND if error.status_code == NOT_FOUND.status else INVALID))


async def _unforeseen(_request: Request, error: Exception) -> Response:
    log(Action.REQUEST_FAILED, logging.ERROR, exc=error)
    return response_of(Refusal(INTERNAL))
