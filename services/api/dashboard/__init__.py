"""The pages: where customers are, what just happened, and any customer's history. On the API's own answers only."""

from pathlib import Path

from fastapi import FastAPI
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from services.api.dashboard.pages import PAGES

_STATIC = Path(__file__).parent / "static"


def mount_dashboard(app: FastAPI) -> None:
    """Add the pages and what they are made of."""
    app.router.routes += [*PAGES, Mount("/static", StaticFiles(directory=_STATIC))]
