"""The console: a page at `/` for people who would rather look than ask, and the files that it loads from here."""

from pathlib import Path

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

router = APIRouter(include_in_schema=False)

_FOLDER = Path(__file__).parents[1] / "console"
_MEDIA_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FILES = {path.name: path for path in _FOLDER.iterdir() if path.suffix in _MEDIA_TYPES}
# Trusted Types: a script that hands text to innerHTML, or to anything like it, fails. Text stays text.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


@router.get("/")
def page() -> Response:
    """The page. It holds nothing that is anybody's: no key is needed for it."""
    return _answer("index.html")


@router.get("/console/{name}")
def file(name: str) -> Response:
    """One of its files."""
    if name not in _FILES:
        raise HTTPException(404)
    return _answer(name)


def _answer(name: str) -> Response:
    path = _FILES[name]
    return Response(
        path.read_bytes(), media_type=_MEDIA_TYPES[path.suffix], headers={"Content-Security-Policy": _POLICY}
    )
