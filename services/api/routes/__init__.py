"""The paths of the API, one router for each resource."""

from fastapi import APIRouter

from services.api.routes import changes, customers, health, history, identities, journeys, versions

ROUTERS: tuple[APIRouter, ...] = (
    customers.router,
    history.router,
    journeys.router,
    identities.router,
    versions.router,
    changes.router,
    health.router,
)
