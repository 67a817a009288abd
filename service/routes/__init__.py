"""The REST interface, one noun to a file."""

from fastapi import APIRouter

from service.routes import audit, calibration, embeddings, health, metrics, models, persons, search, sightings

ROUTERS: tuple[APIRouter, ...] = (
    persons.router,
    sightings.router,
    search.router,
    embeddings.router,
    calibration.router,
    models.router,
    audit.router,
    health.router,
    metrics.router,
)
