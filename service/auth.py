"""Who may do what: keys, scopes, and the rule of every route."""

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from fastapi import Request, Response, WebSocket
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection

from service import keys, sessions
from service.bodies import media_type
from service.gallery.errors import ForbiddenError
from service.gallery.gallery import Gallery
from service.gallery.records import Actor, Key
from service.gallery.sqlite.sessions import session_key_id
from service.keys import HEADER, SCOPES, Scope
from service.origins import is_own_page
from service.problems import UnauthorizedError, UntrustedOriginError

NO_KEY = Actor("local")  # who asks when REID_AUTH=off


class Rule(NamedTuple):
    """The scope a key needs (None: any key will do), and whether a key limited to cameras may have it done.

    What `embeds` images needs room in the model's queue, and is refused without it before a body is read.
    """

    scope: Scope | None
    limited: bool = True
    embeds: bool = False


# A person's own record and their erasure concern all cameras at once: keys limited to some keep out.
RULES: dict[tuple[str, str], Rule] = {
    ("POST", "/v1/persons"): Rule("enrol", limited=False),
    ("GET", "/v1/persons"): Rule("read"),
    ("GET", "/v1/persons/{person_id}"): Rule("read"),
    ("PATCH", "/v1/persons/{person_id}"): Rule("enrol", limited=False),
    ("DELETE", "/v1/persons/{person_id}"): Rule("erase", limited=False),
    ("POST", "/v1/persons/{person_id}/merge"): Rule("enrol", limited=False),
    ("POST", "/v1/persons/{person_id}/split"): Rule("enrol", limited=False),
    ("POST", "/v1/sightings"): Rule("enrol", embeds=True),
    ("GET", "/v1/sightings"): Rule("read"),
    ("GET", "/v1/sightings/{sighting_id}"): Rule("read"),
    ("PATCH", "/v1/sightings/{sighting_id}"): Rule("enrol"),
    ("PUT", "/v1/sightings/{sighting_id}/attributes"): Rule("enrol"),
    ("DELETE", "/v1/sightings/{sighting_id}"): Rule("erase", limited=False),
    ("GET", "/v1/sightings/{sighting_id}/image"): Rule("read"),
    ("GET", "/v1/sightings/{sighting_id}/thumbnail"): Rule("read"),
    ("POST", "/v1/search"): Rule("read", embeds=True),
    ("POST", "/v1/embeddings"): Rule("read", embeds=True),
    ("POST", "/v1/detections"): Rule("read", embeds=True),
    ("GET", "/v1/classifiers"): Rule("read"),
    ("POST", "/v1/classifiers/{name}"): Rule("read", embeds=True),
    ("POST", "/v1/actions"): Rule("read", embeds=True),
    ("GET", "/v1/jobs"): Rule("read"),
    ("GET", "/v1/jobs/{job_id}"): Rule("read"),
    ("DELETE", "/v1/jobs/{job_id}"): Rule("read"),
    ("POST", "/v1/evaluations"): Rule("read"),
    ("GET", "/v1/evaluations/{job_id}/report"): Rule("read"),
    ("GET", "/v1/calibration"): Rule("read"),
    ("PUT", "/v1/calibration"): Rule("admin", limited=False),
    ("DELETE", "/v1/calibration"): Rule("admin", limited=False),
    ("GET", "/v1/models"): Rule("read"),
    ("POST", "/v1/models/activate"): Rule("admin", limited=False),
    ("POST", "/v1/models/rollback"): Rule("admin", limited=False),
    ("POST", "/v1/export"): Rule("admin", limited=False),
    ("GET", "/v1/export/{job_id}/archive"): Rule("admin", limited=False),
    ("POST", "/v1/import"): Rule("admin", limited=False),
    ("GET", "/v1/events"): Rule("read"),
    ("POST", "/v1/webhooks"): Rule("admin", limited=False),
    ("GET", "/v1/webhooks"): Rule("admin", limited=False),
    ("DELETE", "/v1/webhooks/{webhook_id}"): Rule("admin", limited=False),
    ("GET", "/v1/webhooks/{webhook_id}/dead-letters"): Rule("admin", limited=False),
    ("GET", "/v1/retention"): Rule("admin", limited=False),
    ("PUT", "/v1/retention"): Rule("admin", limited=False),
    ("POST", "/v1/session"): Rule(None),
    ("GET", "/v1/session"): Rule(None),
    ("DELETE", "/v1/session"): Rule(None),
    ("GET", "/v1/audit"): Rule("admin", limited=False),
    ("GET", "/metrics"): Rule("admin", limited=False),
}


# Streams are no part of the OpenAPI description, which has no word for them.
STREAM_RULES: dict[str, Rule] = {"/v1/actions/stream": Rule("read")}


def embedding_route(method: str, path: str) -> str | None:
    """The template of the route that a path leads to, if images are embedded or classified there."""
    for template in (path, f"{path.rpartition('/')[0]}/{{name}}"):
        rule = RULES.get((method, template))
        if rule is not None and rule.embeds:
            return template
    return None


class GuardedRoute(APIRoute):
    """A route that checks the key, its rate, and what the body is, before it reads a byte of it.

    One without a rule cannot be made.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, behind the rule."""
        handler = super().get_route_handler()
        assert self.methods is not None
        (method,) = self.methods
        rule = RULES[(method, self.path)]
        reads_json = self.body_field is not None

        async def guarded(request: Request) -> Response:
            request.state.actor, request.state.scopes = await _admit(request, rule)
            if reads_json:
                media_type(request, "application/json")
            return await handler(request)

        return guarded


def authenticate(gallery: Gallery, request: HTTPConnection) -> Key:
    """The key that was given, or that signed in to the session; a key in the header comes first.

    Raises UnauthorizedError, always the same for a key that is not in force, and UntrustedOriginError for a session
    on another page.
    """
    given = request.headers.get(HEADER)
    session = request.cookies.get(sessions.COOKIE) if isinstance(request, Request) else None
    if given is None and session is None:
        raise UnauthorizedError(f"expected an API key in {HEADER}, got none")
    with gallery.reading(NO_KEY) as reading:
        if given is not None:
            key_id, secret = keys.parts(given)
            key = reading.key(key_id)
            known = keys.matches(key, secret)
        else:
            assert session is not None
            signed_in = session_key_id(reading, sessions.digest(session))
            key = None if signed_in is None else reading.key(signed_in)
            known = key is not None
    if not known or key is None or key.is_revoked:
        raise UnauthorizedError(f"expected an API key in force, {keys.SHAPE}, got another")
    if given is None and isinstance(request, Request) and not is_own_page(request):
        raise UntrustedOriginError("expected a page of this service to ask with a session, got another")
    return key


def authorize(key: Key, rule: Rule) -> Actor:
    """On whose behalf the request is done; raises ForbiddenError if the key does not reach so far."""
    if rule.scope is not None and rule.scope not in key.scopes:
        raise ForbiddenError(f"expected a key with the scope {rule.scope}, got one with {sorted(key.scopes)}")
    if key.cameras is not None and not rule.limited:
        raise ForbiddenError("expected a key for all cameras, got one limited to some")
    return Actor(key.key_id, key.cameras)


async def admit_stream(socket: WebSocket) -> tuple[Actor, frozenset[str]]:
    """On whose behalf a stream is opened: by a key in the header alone, since a page elsewhere could send a cookie.

    Raises UnauthorizedError, ForbiddenError, RateLimitedError.
    """
    return await _admit(socket, STREAM_RULES[socket.scope["route"].path])


async def _admit(request: HTTPConnection, rule: Rule) -> tuple[Actor, frozenset[str]]:
    core = request.app.state.core
    if core.settings.auth == "off":
        return NO_KEY, frozenset(SCOPES)

    def counted() -> Key:
        key = authenticate(core.gallery, request)
        core.limit.take(key.key_id)
        return key

    key = await run_in_threadpool(counted)
    return authorize(key, rule), key.scopes
