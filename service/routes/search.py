"""Search: who is asked for, and where else they were seen."""

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from numpy.typing import NDArray

from reid.evaluation.calibration import Calibration
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
from service.core import Core
from service.crops import decoded
from service.dependencies import ActorOf, CoreOf
from service.fields import Read
from service.gallery import search as gallery_search
from service.gallery.filters import Filter
from service.openapi import image_body
from service.problems import CalibrationError
from service.routes.calibration import summary
from service.schemas.search import MatchOut, QueryIn, ResultOut, SearchAnswer, SearchIn, TermsIn

router = APIRouter(tags=["search"], route_class=GuardedRoute)

_TEXTS = {"query": "JSON: top_k, filter, group_by, min_score or max_false_match_rate"}


@router.post("/v1/search", openapi_extra=image_body(SearchIn, _TEXTS))
async def search(request: Request, query: Annotated[Read, Query()], core: CoreOf, actor: ActorOf) -> SearchAnswer:
    """Find sightings of the people asked for. Several files are several images of one person: one query.

    The sightings that a query is made of are never among its matches.
    """
    if media_type(request, *IMAGE_BODIES) == "application/json":
        asked = await _read_json(request, core)
    else:
        asked = await _read_form(request, core)
    await run_in_threadpool(core.gallery.wait_for, query.min_change)
    results, change = await run_in_threadpool(core.gallery.search, actor, asked)
    return SearchAnswer(results=[_result(result, core) for result in results], calibration=summary(core), change=change)


_Asked = tuple[gallery_search.Query, gallery_search.Terms]


async def _read_json(request: Request, core: Core) -> list[_Asked]:
    body = validated(SearchIn, await read_json(request))
    shared = _given_terms(body)
    terms = [_terms(query, shared, core) for query in body.queries]
    embedded = await _of_images([from_base64(query.images or []) for query in body.queries], core)
    queries = [_query(query, embeddings) for query, embeddings in zip(body.queries, embedded, strict=True)]
    return list(zip(queries, terms, strict=True))


async def _read_form(request: Request, core: Core) -> list[_Asked]:
    form = await read_form(request)
    for name in form.texts:
        if name != "query":
            raise invalid(("body", name[:80]), "expected a text field named `query`")
    text = single(form, "query")
    terms = validated(TermsIn, {} if text is None else json_text(text, "query"))
    (embeddings,) = await _of_images([at_least_one(form)], core)
    return [(gallery_search.Query(embeddings), _terms(terms, {}, core))]


def _query(query: QueryIn, embeddings: NDArray[np.float32]) -> gallery_search.Query:
    if query.images is not None:
        return gallery_search.Query(embeddings)
    if query.vector is not None:
        return gallery_search.Query(embeddings=np.array([query.vector], np.float32))
    if query.person_id is not None:
        return gallery_search.Query(stored=Filter(persons=(query.person_id,)))
    if query.tracklet_id is not None:
        return gallery_search.Query(stored=Filter(tracklets=(query.tracklet_id,)))
    return gallery_search.Query(sighting_id=query.sighting_id)


async def _of_images(queries: list[list[bytes]], core: Core) -> list[NDArray[np.float32]]:
    """The embeddings (N, D) of each query's images: all of a request's are decoded, and limited, together."""
    images = [image for query in queries for image in query]
    if not images:
        return [np.empty((0, core.gallery.dimension), np.float32) for _ in queries]
    embeddings = await core.model.embed(await decoded(images))
    return np.split(embeddings, np.cumsum([len(query) for query in queries])[:-1])


def _given_terms(terms: TermsIn) -> dict[str, Any]:
    """The terms that were said, by name."""
    return {name: getattr(terms, name) for name in terms.model_fields_set & TermsIn.model_fields.keys()}


def _terms(own: TermsIn, shared: dict[str, Any], core: Core) -> gallery_search.Terms:
    """A query's own terms over those shared by all; a threshold of its own replaces a shared one."""
    given = _given_terms(own)
    if "min_score" in given or "max_false_match_rate" in given:
        shared = {name: value for name, value in shared.items() if name not in ("min_score", "max_false_match_rate")}
    terms = TermsIn(**shared | given)
    return gallery_search.Terms(
        filter=terms.filter.to_filter(),
        top_k=terms.top_k,
        group_by=terms.group_by,
        min_score=_min_score(terms, core.calibration),
        exclude_same_camera=terms.filter.exclude_same_camera,
        exclude_own_tracklet=terms.filter.exclude_own_tracklet,
    )


def _min_score(terms: TermsIn, calibration: Calibration | None) -> float | None:
    if terms.max_false_match_rate is None:
        return terms.min_score
    if calibration is None:
        raise CalibrationError("expected min_score, got max_false_match_rate and the bundle has no calibration")
    try:
        return calibration.score_at(terms.max_false_match_rate)
    except ValueError as error:
        raise CalibrationError(str(error)) from error


def _result(result: gallery_search.Result, core: Core) -> ResultOut:
    matches = [_match(match, core) for match in result.matches]
    rate = matches[-1].false_match_rate if matches else None
    return ResultOut(
        matches=matches,
        searched=result.searched,
        expected_false_matches=None if rate is None else rate * result.searched,
        approximate=False,
    )


def _match(match: gallery_search.Match, core: Core) -> MatchOut:
    sighting, calibration = match.sighting, core.calibration
    return MatchOut(
        sighting_id=sighting.sighting_id,
        person_id=sighting.person_id,
        score=max(-1.0, min(1.0, match.score)),  # rounding to float16 leaves rows a little off unit length
        false_match_rate=None if calibration is None else float(calibration.false_match_rate(match.score)),
        camera_id=sighting.camera_id,
        captured_at=sighting.captured_at.datetime(),
        tracklet_id=sighting.tracklet_id,
        attributes=sighting.attributes,
        bundle_id=core.gallery.bundle_id,
    )
