"""The console's session: signed in with a key once, then held by a cookie."""

from fastapi import APIRouter, Request, Response

from service import sessions
from service.auth import GuardedRoute
from service.dependencies import ActorOf, CoreOf, ViewerOf
from service.gallery.records import Actor, Moment
from service.gallery.sqlite.jobs import Viewer
from service.gallery.sqlite.sessions import add_session, end_session, session_expiry
from service.keys import HEADER
from service.schemas.session import SessionAnswer

router = APIRouter(tags=["session"], route_class=GuardedRoute)


@router.post("/v1/session")
def sign_in(request: Request, response: Response, core: CoreOf, actor: ActorOf, viewer: ViewerOf) -> SessionAnswer:
    """Sign in with the key in `X-API-Key`: the answer sets a cookie that stands for it, for 12 hours.

    The cookie is HttpOnly and SameSite=Strict. With it alone, only pages of this service can change anything.
    """
    expires_at = None
    if core.settings.auth == "keys":
        secret, expires_at = sessions.new_secret(), Moment(Moment.now().us + sessions.LASTS_S * 1_000_000)
        kept = sessions.digest(secret)
        core.gallery.store.write(lambda writing: add_session(writing, kept, actor.key_id, expires_at))
        sessions.hand_out(request, response, secret)
    return _answer(actor, viewer, expires_at)


@router.get("/v1/session")
def who_am_i(request: Request, core: CoreOf, actor: ActorOf, viewer: ViewerOf) -> SessionAnswer:
    """Who is signed in, or whose key it is, and what they may do."""
    secret, expires_at = request.cookies.get(sessions.COOKIE), None
    if secret is not None and HEADER not in request.headers:
        with core.gallery.reading(actor) as reading:
            expires_at = session_expiry(reading, sessions.digest(secret))
    return _answer(actor, viewer, expires_at)


@router.delete("/v1/session", status_code=204)
def sign_out(request: Request, core: CoreOf) -> Response:
    """Sign out: the cookie stands for nothing from now on."""
    secret = request.cookies.get(sessions.COOKIE)
    if secret is not None:
        core.gallery.store.write(lambda writing: end_session(writing, sessions.digest(secret)))
    response = Response(status_code=204)
    sessions.take_back(request, response)
    return response


def _answer(actor: Actor, viewer: Viewer, expires_at: Moment | None) -> SessionAnswer:
    return SessionAnswer(
        key_id=actor.key_id,
        scopes=sorted(viewer.scopes),
        cameras=None if actor.cameras is None else sorted(actor.cameras),
        expires_at=None if expires_at is None else expires_at.datetime(),
    )
