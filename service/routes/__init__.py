"""The REST interface, one noun to a file."""

from fastapi import APIRouter

from service.routes import (
    actions,
    audit,
    calibration,
    classifiers,
    console,
    detections,
    embeddings,
    evaluations,
    events,
    health,
    jobs,
    metrics,
    models,
    persons,
    retention,
    search,
    session,
    sightings,
    transfers,
    webhooks,
)

ROUTERS: tuple[APIRouter, ...] = (
    persons.router,
    sightings.router,
    search.router,
    embeddings.router,
    detections.router,
    classifiers.router,
    actions.router,
    evaluations.router,
    calibration.router,
    jobs.router,
    models.router,
    transfers.router,
    events.router,
    webhooks.router,
    retention.router,
    session.router,
    audit.router,
    health.router,
    metrics.router,
    console.router,
)
