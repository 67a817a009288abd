"""Search: who is asked for, and where else they were seen."""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from numpy.typing import NDArray

from reid.errors import VectorError
from service.admission import Ticket
from service.auth import GuardedRoute
from service.bodies import (
    IMAGE_BODIES,
    at_least_one,
    from_base64,
    invalid,
    json_text,
    media_type,
    read_form,
    read_json,
    single,
    validated,
)
from service.calibration import InForce
from service.crops import computed
from service.dependencies import ActorOf, CoreOf, TicketOf
from service.fields import Read
from service.gallery import search as gallery_search
from service.gallery.filters import Filter
from service.leaving import until_gone
from service.models import Model
from service.openapi import image_body
from service.problems import CalibrationError
from service.routes.calibration import summary
from service.schemas.search import MatchOut, QueryIn, ResultOut, SearchAnswer, SearchIn, TermsIn

router = APIRouter(tags=["search"], route_class=GuardedRoute)

_TEXTS = {"query": "JSON: top_k, filter, group_by, rerank, min_score or max_false_match_rate"}


@router.post("/v1/search", openapi_extra=image_body(SearchIn, _TEXTS))
async def search(
    request: Request, query: Annotated[Read, Query()], core: CoreOf, actor: ActorOf, ticket: TicketOf
) -> SearchAnswer:
    """Find sightings of the people asked for. Several files are several images of one person: one query.

    The sightings that a query is made of are never among its matches.
    """
    body = await _read(request)
    await run_in_threadpool(core.gallery.wait_for, query.min_change)

    async def answered(model: Model) -> SearchAnswer:
        calibration = model.calibrations.current
        embedded = await _of_images(body.images, model, request, ticket)
        asked = [
            _Asked(_query(query, embeddings, model.bundle_id), *_terms(query, body.shared, calibration))
            for query, embeddings in zip(body.queries, embedded, strict=True)
        ]
        queries = [(one.query, one.terms) for one in asked]
        results, change = await run_in_threadpool(core.gallery.search, actor, queries)
        return _answer(asked, results, change, calibration)

    return await core.models.in_force(answered)


class _Body(NamedTuple):
    """Queries, the images of each, and the terms that hold for all that do not say otherwise."""

    queries: Sequence[TermsIn]  # a QueryIn wherever there are no images
    images: list[list[bytes]]
    shared: dict[str, Any]


class _Asked(NamedTuple):
    """A query, its terms, and the false-match rate that its threshold stands for."""

    query: gallery_search.Query
    terms: gallery_search.Terms
    rate: float | None


async def _read(request: Request) -> _Body:
    if media_type(request, *IMAGE_BODIES) == "application/json":
        body = validated(SearchIn, await read_json(request))
        return _Body(body.queries, [from_base64(query.images or []) for query in body.queries], _given_terms(body))
    form = await read_form(request)
    for name in form.texts:
        if name != "query":
            raise invalid(("body", name[:80]), "expected a text field named `query`")
    text = single(form, "query")
    terms = validated(TermsIn, {} if text is None else json_text(text, "query"))
    return _Body([terms], [at_least_one(form)], {})


def _query(query: TermsIn, embeddings: NDArray[np.float32], bundle_id: str) -> gallery_search.Query:
    if len(embeddings):
        return gallery_search.Query(embeddings, bundle_id=bundle_id)
    assert isinstance(query, QueryIn)
    if query.vector is not None:
        if query.bundle_id not in (None, bundle_id):
            raise VectorError(f"expected a vector of the bundle in force, {bundle_id}, got one of {query.bundle_id}")
        return gallery_search.Query(embeddings=np.array([query.vector], np.float32), bundle_id=bundle_id)
    stored = None
    if query.person_id is not None:
        stored = Filter(persons=(query.person_id,))
    if query.tracklet_id is not None:
        stored = Filter(tracklets=(query.tracklet_id,))
    return gallery_search.Query(stored=stored, sighting_id=query.sighting_id, bundle_id=bundle_id)


async def _of_images(
    queries: list[list[bytes]], model: Model, request: Request, ticket: Ticket
) -> list[NDArray[np.float32]]:
    """The embeddings (N, D) of each query's images: all of a request's are decoded, and limited, together."""
    images = [image for query in queries for image in query]
    if not images:
        return [np.empty((0, model.embedder.dimension), np.float32) for _ in queries]
    embeddings = await until_gone(request, computed(model.queue, ticket, images))
    return np.split(embeddings, np.cumsum([len(query) for query in queries])[:-1])


def _given_terms(terms: TermsIn) -> dict[str, Any]:
    """The terms that were said, by name."""
    return {name: getattr(terms, name) for name in terms.model_fields_set & TermsIn.model_fields.keys()}


def _terms(
    own: TermsIn, shared: dict[str, Any], calibration: InForce | None
) -> tuple[gallery_search.Terms, float | None]:
    """A query's own terms over those shared by all; a threshold of its own replaces a shared one."""
    given = _given_terms(own)
    if "min_score" in given or "max_false_match_rate" in given:
        shared = {name: value for name, value in shared.items() if name not in ("min_score", "max_false_match_rate")}
    terms = TermsIn(**shared | given)
    min_score, camera_min_scores = _min_scores(terms, calibration)
    asked = gallery_search.Terms(
        filter=terms.filter.to_filter(),
        top_k=terms.top_k,
        group_by=terms.group_by,
        min_score=min_score,
        camera_min_scores=camera_min_scores,
        exclude_same_camera=terms.filter.exclude_same_camera,
        exclude_own_tracklet=terms.filter.exclude_own_tracklet,
        rerank=terms.rerank,
    )
    return asked, terms.max_false_match_rate


def _min_scores(terms: TermsIn, calibration: InForce | None) -> tuple[float | None, dict[tuple[str, str], float]]:
    if terms.max_false_match_rate is None:
        return terms.min_score, {}
    if calibration is None:
        raise CalibrationError("expected min_score, got max_false_match_rate and there is no calibration")
    return calibration.min_scores(terms.max_false_match_rate)


def _answer(
    asked: list[_Asked], results: list[gallery_search.Result], change: int, calibration: InForce | None
) -> SearchAnswer:
    return SearchAnswer(
        results=[_result(one, result, calibration) for one, result in zip(asked, results, strict=True)],
        calibration=summary(calibration),
        change=change,
    )


def _result(asked: _Asked, result: gallery_search.Result, calibration: InForce | None) -> ResultOut:
    matches = [_match(match, result, asked.rate, calibration) for match in result.matches]
    expected = None
    if calibration is not None and matches:
        lowest = min(match.score for match in result.matches)
        expected = float(calibration.table.overall.expected_false_matches(lowest, result.searched))
    return ResultOut(
        matches=matches,
        searched=result.searched,
        expected_false_matches=expected,
        approximate=result.approximate,
        reranked=asked.terms.rerank,
    )


def _match(
    match: gallery_search.Match, result: gallery_search.Result, rate: float | None, calibration: InForce | None
) -> MatchOut:
    sighting, camera_id, table, pair = match.sighting, result.camera_id, None, None
    if calibration is not None:
        table = calibration.between(camera_id, sighting.camera_id, rate)
        if table is not calibration.table.overall and camera_id and sighting.camera_id:
            pair = [camera_id, sighting.camera_id]
    return MatchOut(
        sighting_id=sighting.sighting_id,
        person_id=sighting.person_id,
        score=max(-1.0, min(1.0, match.score)),  # rounding to float16 leaves rows a little off unit length
        false_match_rate=None if table is None else float(table.false_match_rate(match.score)),
        calibrated_between=pair,
        camera_id=sighting.camera_id,
        captured_at=sighting.captured_at.datetime(),
        tracklet_id=sighting.tracklet_id,
        attributes=sighting.attributes,
        bundle_id=result.bundle_id,
    )
