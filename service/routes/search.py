"""Search: who is asked for, and where else they were seen."""

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool

from reid.evaluation.calibration import Calibration
from service.auth import GuardedRoute
from service.bodies import (
    at_least_one,
    from_base64,
    image_body,
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
from service.problems import CalibrationError
from service.routes.calibration import summary
from service.schemas.search import MatchOut, QueryIn, ResultOut, SearchAnswer, SearchIn, SearchTerms, TermsIn

router = APIRouter(tags=["search"], route_class=GuardedRoute)

_TEXTS = {"query": "JSON: top_k, filter, group_by, min_score or max_false_match_rate"}


@router.post("/v1/search", openapi_extra=image_body(SearchIn, _TEXTS))
async def search(request: Request, query: Annotated[Read, Query()], core: CoreOf, actor: ActorOf) -> SearchAnswer:
    """Find sightings of the people asked for. Several files are several images of one person: one query.

    The sightings that a query is made of are never among its matches.
    """
    if media_type(request) == "application/json":
        terms, asked = await _read_json(request, core)
    else:
        terms, asked = await _read_form(request, core)
    await run_in_threadpool(core.gallery.wait_for, max(query.min_change, terms.min_change))
    results, change = await run_in_threadpool(core.gallery.search, actor, asked)
    return SearchAnswer(results=[_result(result, core) for result in results], calibration=summary(core), change=change)


_Asked = tuple[gallery_search.Query, gallery_search.Terms]


async def _read_json(request: Request, core: Core) -> tuple[SearchTerms, list[_Asked]]:
    body = validated(SearchIn, await read_json(request))
    shared = _given_terms(body)
    return body, [(await _query(query, core), _terms(query, shared, core)) for query in body.queries]


async def _read_form(request: Request, core: Core) -> tuple[SearchTerms, list[_Asked]]:
    form = await read_form(request)
    for name in form.texts:
        if name != "query":
            raise invalid(("body", name[:80]), "expected a text field named `query`")
    text = single(form, "query")
    terms = validated(SearchTerms, {} if text is None else json_text(text, "query"))
    return terms, [(await _of_images(at_least_one(form), core), _terms(terms, {}, core))]


async def _query(query: QueryIn, core: Core) -> gallery_search.Query:
    if query.images is not None:
        return await _of_images(from_base64(query.images), core)
    if query.vector is not None:
        return gallery_search.Query(embeddings=np.array([query.vector], np.float32))
    if query.person_id is not None:
        return gallery_search.Query(stored=Filter(persons=(query.person_id,)))
    if query.tracklet_id is not None:
        return gallery_search.Query(stored=Filter(tracklets=(query.tracklet_id,)))
    return gallery_search.Query(sighting_id=query.sighting_id)


async def _of_images(images: list[bytes], core: Core) -> gallery_search.Query:
    return gallery_search.Query(embeddings=await core.model.embed(await decoded(images)))


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
