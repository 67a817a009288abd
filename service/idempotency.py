"""`Idempotency-Key`: the same key with the same body gets the same answer, and nothing is done twice."""

import json
import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeVar

from fastapi import Header
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel
from starlette.responses import Response

from service.bodies import invalid
from service.gallery.digests import sha256
from service.gallery.gallery import Gallery
from service.gallery.records import Actor, Once, Written
from service.gallery.sqlite.writing import Writing

T = TypeVar("T")

IdempotencyKey = Annotated[
    str | None,
    Header(
        max_length=255,
        description="for 7 days the same key with the same body gets the same answer, and nothing is done twice",
    ),
]


def once(key: str | None, body: Any, render: Callable[[T, int], BaseModel]) -> Once[T] | None:
    """The idempotency of a request: its key, what it asked for (plain values), how its answer is written."""
    if key is None:
        return None
    if not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
        raise invalid(("header", "Idempotency-Key"), "expected 1 to 255 printable ASCII characters without spaces")
    fingerprint = json.dumps(body, sort_keys=True, default=str)
    return Once(
        key_sha256=sha256(key.encode()),
        body_sha256=sha256(fingerprint.encode()),
        render=lambda value, change: render(value, change).model_dump_json(),
    )


def answered(
    written: Written[T],
    render: Callable[[T, int], BaseModel],
    status_code: int = 200,
    headers: Callable[[T], dict[str, str]] = lambda _: {},
) -> Response:
    """The answer to a write, or the one that its idempotency key stands for."""
    if written.replay is not None:
        replayed = {"Idempotency-Replayed": "true"}
        return Response(written.replay, status_code=status_code, media_type="application/json", headers=replayed)
    assert written.value is not None
    content = render(written.value, written.change).model_dump_json()
    return Response(content, status_code, headers(written.value), "application/json")


def created(written: Written[T], render: Callable[[T, int], BaseModel]) -> Response:
    """:func:`answered` with 201."""
    return answered(written, render, 201)


def run_once(
    writing: Writing, actor: Actor, asked: Once[T] | None, operation: Callable[[], T], mentions: Iterable[str] = ()
) -> Written[T]:
    """`operation` with its idempotent answer, inside one transaction, for what is kept beside the gallery.

    Such writes take no change number: the answer carries the last one.
    """
    if asked is not None and (found := writing.answer(actor.key_id, asked.key_sha256, asked.body_sha256)):
        return Written(None, found[0], replay=found[1])
    value, change = operation(), writing.change()
    if asked is not None:
        writing.remember(actor, asked, change, asked.render(value, change), mentions)
    return Written(value, change)


async def replayed(gallery: Gallery, actor: Actor, asked: Once[T] | None) -> Written[T] | None:
    """The answer that an idempotency key already stands for, looked up before any work is done."""
    return None if asked is None else await run_in_threadpool(gallery.replay, actor, asked)
