"""Frigate's REST interface, as far as we need it."""

from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar

import httpx
from pydantic import ValidationError

from reid.errors import ReidError
from service.frigate.events import Event, read_events

_Read = TypeVar("_Read")

_PAGE = 100
_LONGEST_LABEL = 100
_TIMEOUT_S = 30.0
_MOST_SNAPSHOT_BYTES = 32 * 2**20


class FrigateError(ReidError):
    """Frigate did not answer, or not what was expected; asking again later may help."""


class Frigate:
    """A Frigate at a URL; with a user it signs in (port 8971), without it is asked as it is (port 5000)."""

    def __init__(self, url: str, user: str | None = None, password: str | None = None) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_S)
        self._sign_in = None if user is None else {"user": user, "password": password or ""}

    async def events(self, after: float) -> list[Event]:
        """Events of people with a snapshot that began after a time, oldest first, those under way included."""
        found: dict[str, Event] = {}
        before: float | None = None
        while True:
            query = {"labels": "person", "has_snapshot": 1, "include_thumbnails": 0, "limit": _PAGE, "after": after}
            answer = await self._ask("GET", "/api/events", query | ({} if before is None else {"before": before}))
            page = self._read(answer, read_events)
            new = [event for event in page if event.id not in found]
            found |= {event.id: event for event in new}
            if len(page) < _PAGE or not new:
                return sorted(found.values(), key=lambda event: event.start_time)
            before = min(event.start_time for event in page)

    async def event(self, event_id: str) -> Event | None:
        """An event as it is now; None where Frigate has deleted it."""
        answer = await self._ask("GET", f"/api/events/{event_id}", missing=True)
        return None if answer.status_code == httpx.codes.NOT_FOUND else self._read(answer, Event.model_validate)

    async def snapshot(self, event_id: str) -> bytes | None:
        """The whole frame without overlays, WebP; None while there is none."""
        answer = await self._ask("GET", f"/api/events/{event_id}/snapshot-clean.webp", missing=True)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if len(answer.content) > _MOST_SNAPSHOT_BYTES:
            raise FrigateError(
                f"expected a snapshot of at most {_MOST_SNAPSHOT_BYTES} bytes, got {len(answer.content)}"
            )
        return answer.content

    async def set_sub_label(self, event_id: str, name: str, score: float | None) -> None:
        """Write who it is beside the event, and how sure that is where a match said so."""
        said: dict[str, Any] = {"subLabel": name[:_LONGEST_LABEL]}
        if score is not None:
            said["subLabelScore"] = round(score, 4)
        await self._ask("POST", f"/api/events/{event_id}/sub_label", json=said)

    async def _ask(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, json: Any = None, *, missing: bool = False
    ) -> httpx.Response:
        try:
            answer = await self._http.request(method, path, params=query, json=json)
            if answer.status_code == httpx.codes.UNAUTHORIZED and self._sign_in is not None:
                (await self._http.post("/api/login", json=self._sign_in)).raise_for_status()
                answer = await self._http.request(method, path, params=query, json=json)
        except httpx.HTTPError as error:
            raise FrigateError(f"{method} {path}: expected an answer, got {type(error).__name__} {error}") from error
        if not (answer.is_success or (missing and answer.status_code == httpx.codes.NOT_FOUND)):
            raise FrigateError(f"{method} {path}: expected an answer, got {answer.status_code}")
        return answer

    @staticmethod
    def _read(answer: httpx.Response, read: Callable[[Any], _Read]) -> _Read:
        try:
            return read(answer.json())
        except (ValueError, ValidationError) as error:
            raise FrigateError(f"GET {answer.url.path}: expected events, got something else") from error

    async def close(self) -> None:
        """Let the connections go."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
