"""Events as they happen, in the form of server-sent events (WHATWG HTML, section 9.2)."""

import asyncio
from collections.abc import AsyncIterator

from fastapi.concurrency import run_in_threadpool

from service.events.feed import ChangeFeed
from service.events.seen import EventKind, EventOut, events_of
from service.gallery.gallery import Gallery
from service.gallery.records import Actor
from service.gallery.sqlite.arrivals import Arrivals, arrivals_after

MEDIA_TYPE = "text/event-stream"
HEARTBEAT_S = 15.0  # proxies close what is silent for long; it is also how soon a revoked key is noticed


async def stream(
    gallery: Gallery, feed: ChangeFeed, actor: Actor, after: int, wanted: frozenset[EventKind]
) -> AsyncIterator[str]:
    """What `actor` may see of what was enrolled after the change `after`, for as long as their key is in force.

    The last event of a change carries its number as id: a listener that comes back with it misses nothing, and may
    hear a change again whose events it had not heard to the end.
    """
    loop, news = asyncio.get_running_loop(), asyncio.Event()
    yield "retry: 2000\n\n"
    with feed.listening(lambda: loop.call_soon_threadsafe(news.set)):
        while not feed.closed:
            news.clear()
            arrivals = await run_in_threadpool(_read, gallery, actor, after)
            if arrivals is None:
                return
            for change, events in events_of(arrivals, wanted):
                yield "".join(_lines(event, change if event is events[-1] else None) for event in events)
            after = arrivals.upto
            if not arrivals.more and not await _told(news):
                yield ": still here\n\n"


async def _told(news: asyncio.Event) -> bool:
    try:
        await asyncio.wait_for(news.wait(), HEARTBEAT_S)
    except TimeoutError:
        return False
    return True


def _read(gallery: Gallery, actor: Actor, after: int) -> Arrivals | None:
    """What came, or None once the key is no longer in force."""
    with gallery.reading(actor) as reading:
        if reading.is_revoked(actor.key_id):
            return None
        return arrivals_after(reading, after)


def _lines(event: EventOut, last_of: int | None) -> str:
    ident = "" if last_of is None else f"id: {last_of}\n"
    return f"event: {event.event}\n{ident}data: {event.model_dump_json()}\n\n"
