"""`Idempotency-Key`: the same key with the same body gets the same answer, and nothing is done twice."""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import Header
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel
from starlette.responses import Response

from service.bodies import invalid
from service.gallery.gallery import Gallery
from service.gallery.records import Actor, Once, Written

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


def created(written: Written[T], render: Callable[[T, int], BaseModel]) -> Response:
    """201 with the answer to a write, or with the one that its idempotency key stands for."""
    if written.replay is not None:
        headers = {"Idempotency-Replayed": "true"}
        return Response(written.replay, status_code=201, media_type="application/json", headers=headers)
    assert written.value is not None
    answer = render(written.value, written.change)
    return Response(answer.model_dump_json(), status_code=201, media_type="application/json")


async def replayed(gallery: Gallery, actor: Actor, asked: Once[T] | None) -> Written[T] | None:
    """The answer that an idempotency key already stands for, looked up before any work is done."""
    return None if asked is None else await run_in_threadpool(gallery.replay, actor, asked)


def sha256(data: bytes) -> str:
    """Hex digest, to tell one upload from another."""
    return hashlib.sha256(data).hexdigest()
