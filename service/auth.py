"""Who may do what: keys, scopes, and the rule of every route."""

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute

from service import keys
from service.bodies import media_type
from service.gallery.errors import ForbiddenError
from service.gallery.gallery import Gallery
from service.gallery.records import Actor, Key
from service.keys import HEADER, Scope
from service.problems import UnauthorizedError

NO_KEY = Actor("local")  # who asks when REID_AUTH=off


class Rule(NamedTuple):
    """The scope a key needs, and whether a key limited to cameras may have it done."""

    scope: Scope
    limited: bool = True


# A person's own record and their erasure concern all cameras at once: keys limited to some keep out.
RULES: dict[tuple[str, str], Rule] = {
    ("POST", "/v1/persons"): Rule("enrol", limited=False),
    ("GET", "/v1/persons"): Rule("read"),
    ("GET", "/v1/persons/{person_id}"): Rule("read"),
    ("PATCH", "/v1/persons/{person_id}"): Rule("enrol", limited=False),
    ("DELETE", "/v1/persons/{person_id}"): Rule("erase", limited=False),
    ("POST", "/v1/sightings"): Rule("enrol"),
    ("GET", "/v1/sightings"): Rule("read"),
    ("GET", "/v1/sightings/{sighting_id}"): Rule("read"),
    ("PATCH", "/v1/sightings/{sighting_id}"): Rule("enrol"),
    ("DELETE", "/v1/sightings/{sighting_id}"): Rule("erase", limited=False),
    ("GET", "/v1/sightings/{sighting_id}/image"): Rule("read"),
    ("GET", "/v1/sightings/{sighting_id}/thumbnail"): Rule("read"),
    ("POST", "/v1/search"): Rule("read"),
    ("POST", "/v1/embeddings"): Rule("read"),
    ("GET", "/v1/calibration"): Rule("read"),
    ("GET", "/v1/models"): Rule("read"),
    ("GET", "/v1/audit"): Rule("admin", limited=False),
    ("GET", "/metrics"): Rule("admin", limited=False),
}


class GuardedRoute(APIRoute):
    """A route that checks the key, and what the body is, before it reads a byte of it.

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
            request.state.actor = await _admit(request, rule)
            if reads_json:
                media_type(request, "application/json")
            return await handler(request)

        return guarded


def authenticate(gallery: Gallery, given: str | None) -> Key:
    """The key that was given; raises UnauthorizedError, always the same for a key that is not in force."""
    if given is None:
        raise UnauthorizedError(f"expected an API key in {HEADER}, got none")
    key_id, secret = keys.parts(given)
    with gallery.reading(NO_KEY) as reading:
        key = reading.key(key_id)
    if not keys.matches(key, secret) or key is None or key.revoked_at is not None:
        raise UnauthorizedError(f"expected an API key in force, {keys.SHAPE}, got another")
    return key


def authorize(key: Key, rule: Rule) -> Actor:
    """On whose behalf the request is done; raises ForbiddenError if the key does not reach so far."""
    if rule.scope not in key.scopes:
        raise ForbiddenError(f"expected a key with the scope {rule.scope}, got one with {sorted(key.scopes)}")
    if key.cameras is not None and not rule.limited:
        raise ForbiddenError("expected a key for all cameras, got one limited to some")
    return Actor(key.key_id, key.cameras)


async def _admit(request: Request, rule: Rule) -> Actor:
    core = request.app.state.core
    if core.settings.auth == "off":
        return NO_KEY
    key = await run_in_threadpool(authenticate, core.gallery, request.headers.get(HEADER))
    return authorize(key, rule)
