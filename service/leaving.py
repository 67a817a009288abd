"""Work for a client that may leave: it ends when nobody is there to be answered."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from service.problems import ClientGoneError

T = TypeVar("T")


async def until_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives, unless the client leaves before: then it is cancelled and ClientGoneError is raised.

    The body must have been read: what comes after it can only be the end.
    """
    doing, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((doing, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise ClientGoneError("expected a client that waits, got one that left")
        return doing.result()
    finally:
        for task in (doing, leaving):
            task.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
