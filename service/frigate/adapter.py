"""From Frigate's events to identities: each person's event becomes one sighting of one person, whatever messages say.

Frigate's MQTT messages may be lost, doubled or out of order, so they are only a reason to look; what there is to do,
its REST interface says. An event that has ended is enrolled once, under a tracklet_id of its own, and then given the
person whom the gallery's best match names, or a new one. What is best is said by looks and, where a false-match rate is
asked for, by how long people take from camera to camera.
"""

import logging
import time
from dataclasses import dataclass

import httpx

from reid.errors import ReidError
from reid.images import crop_box, decode_image, encode_crop
from service import client
from service.client import AsyncClient, ServiceError
from service.frigate.api import Frigate, FrigateError
from service.frigate.events import Event
from service.frigate.ledger import Ledger
from service.frigate.transitions import LARGEST, Transitions
from service.schemas.search import MatchOut
from service.schemas.sightings import SightingOut

_LOG = logging.getLogger("service.frigate")
_MOST_CROPS = 4  # of an event: with four, half as many more pairs were found again as with one (docs/experiments.md)
_MOST_PEOPLE = 10  # who are looked at for one event
_LOOK_BACK_S = 60.0  # between looks at events that are not listed any more: each is a request
_LEARNED_FROM = 5000  # sightings, the latest of those that are there at the start
_PAGE = 1000
UNKNOWN = "unknown-"
"""What the person_id of somebody begins with whom nobody has named yet."""


@dataclass(frozen=True)
class Terms:
    """When two sightings are one person's: at a false-match rate by the calibration in force, or from a score on."""

    max_false_match_rate: float | None = 1e-4
    min_score: float | None = None


@dataclass(frozen=True)
class Identity:
    """Whom an event shows; `score` is of the match that said so, None for somebody new."""

    person_id: str
    score: float | None


class Adapter:
    """Works off Frigate's events, one after the other, the oldest first."""

    def __init__(
        self, frigate: Frigate, reid: AsyncClient, ledger: Ledger, terms: Terms, *, write_back: bool = False
    ) -> None:
        self._frigate, self._reid, self._ledger = frigate, reid, ledger
        self._terms, self._write_back = terms, write_back
        self._earlier: dict[str, list[bytes]] = {}  # crops of events that are not settled
        self._transitions: Transitions | None = None  # until they were learned
        self._look_back_at_s = 0.0

    async def catch_up(self) -> bool:
        """Settle every event that can be settled; whether some are left for later, for one reason or another.

        Raises :class:`FrigateError` where Frigate does not list its events.
        """
        unsettled = await self._unsettled()
        self._ledger.wait_for({event.id for event in unsettled})
        for event in unsettled:
            try:
                settled = await self._settled(event)
            except (FrigateError, ServiceError, httpx.HTTPError) as error:
                _LOG.warning("event %s waits: %s", event.id, error)
                settled = False
            if settled:
                self._ledger.settle(event.id, event.start_time)
        waiting = self._ledger.waiting
        self._earlier = {event_id: crops for event_id, crops in self._earlier.items() if event_id in waiting}
        return bool(waiting)

    async def _unsettled(self) -> list[Event]:
        """The oldest first: what Frigate lists and, now and then, what has waited until it is not listed any more."""
        listed = await self._frigate.events(self._ledger.after)
        found = {event.id: event for event in listed if event.id not in self._ledger}
        if time.monotonic() < self._look_back_at_s:
            return list(found.values())
        self._look_back_at_s = time.monotonic() + _LOOK_BACK_S
        for event_id in self._ledger.waiting - found.keys():
            try:
                event = await self._frigate.event(event_id)
            except FrigateError as error:
                _LOG.warning("event %s waits: %s", event_id, error)
                continue
            if event is None:
                self._ledger.forget(event_id)
            else:
                found[event_id] = event
        return sorted(found.values(), key=lambda event: event.start_time)

    async def _settled(self, event: Event) -> bool:
        """Do what is to do for an event; whether nothing is left."""
        if event.end_time is None:
            if event.of_a_person:
                await self._crop(event)
            return False
        if not event.of_a_person:
            return True
        kept = await self._enrolled(event)
        if not kept:
            if await self._crop(event) is None:
                _LOG.warning("event %s waits: Frigate has no clean snapshot of it", event.id)
                return False
            kept = await self._enrol(event)
        named = [one.person_id for one in kept if one.person_id is not None]
        transitions = await self._learned()
        identity = Identity(named[0], None) if named else await self._identify(event, transitions)
        for one in kept:
            if one.person_id is None:
                await self._reid.send(client.change_sighting(one.sighting_id, person_id=identity.person_id))
        if not named:
            transitions.settle(identity.person_id, event.camera, event.start_time)
        if self._write_back:
            await self._tell(event, identity)
        return True

    async def _tell(self, event: Event, identity: Identity) -> None:
        """Write who it is beside the event: their name, or an id that somebody chose."""
        person = await self._reid.send(client.person(identity.person_id))
        if person.name or not person.person_id.startswith(UNKNOWN):
            await self._frigate.set_sub_label(event.id, person.name or person.person_id, identity.score)

    async def _enrolled(self, event: Event) -> list[SightingOut]:
        answer = await self._reid.send(client.sightings(tracklet_id=event.tracklet_id, limit=_MOST_CROPS))
        return list(answer.sightings)

    async def _crop(self, event: Event) -> bytes | None:
        """The person, cut out of the clean snapshot as it is now, and remembered; None while there is none.

        Frigate replaces an event's snapshot by a better one while it lasts: of the different ones the latest count.
        """
        snapshot = await self._frigate.snapshot(event.id)
        if snapshot is None:
            return None
        try:
            frame = decode_image(snapshot)
            box = event.box_xyxy(*frame.size)
            crop = encode_crop(frame if box is None else crop_box(frame, box))
        except ReidError as error:
            raise FrigateError(f"expected a snapshot that decodes and holds its box: {error}") from error
        crops = self._earlier.setdefault(event.id, [])
        if crop not in crops:
            crops.append(crop)
            del crops[:-_MOST_CROPS]
        return crop

    async def _enrol(self, event: Event) -> list[SightingOut]:
        """All crops of the event as one tracklet, in one request: all of them or none."""
        said = {"frigate_event": event.id, "zones": event.zones}
        call = client.enrol(
            self._earlier[event.id],
            camera_id=event.camera,
            captured_at=event.began.isoformat(),
            tracklet_id=event.tracklet_id,
            metadata=said,
        )
        return list((await self._reid.send(call)).sightings)

    async def _learned(self) -> Transitions:
        """How long people take from camera to camera; at first, what the latest sightings say of it."""
        if self._transitions is None:
            self._transitions = Transitions()
            for sighting in await self._latest():
                if sighting.person_id is not None and sighting.camera_id is not None:
                    at_s = sighting.captured_at.timestamp()
                    self._transitions.settle(sighting.person_id, sighting.camera_id, at_s)
        return self._transitions

    async def _latest(self) -> list[SightingOut]:
        """The latest sightings of known people, of each tracklet the first, in the order of time."""
        firsts: dict[str, SightingOut] = {}
        read = 0
        async for page in self._reid.pages(client.sightings(known="true", order="latest", limit=_PAGE)):
            for one in page.sightings:
                firsts[one.tracklet_id or one.sighting_id] = one
            if (read := read + _PAGE) >= _LEARNED_FROM:
                break
        return sorted(firsts.values(), key=lambda one: one.captured_at)

    async def _identify(self, event: Event, transitions: Transitions) -> Identity:
        """The person whom all its crops together match best, else a new one."""
        rate = self._terms.max_false_match_rate
        (result,) = (
            await self._reid.send(
                client.search(
                    queries=[{"tracklet_id": event.tracklet_id}],
                    top_k=_MOST_PEOPLE,
                    group_by="person",
                    filter={"exclude_own_tracklet": True},
                    max_false_match_rate=None if rate is None else min(1.0, LARGEST * rate),
                    min_score=self._terms.min_score,
                )
            )
        ).results

        def rate_of(match: MatchOut) -> float:
            assert match.person_id is not None
            assert match.false_match_rate is not None
            return match.false_match_rate / transitions.ratio(match.person_id, event.camera, event.start_time)

        known = [match for match in result.matches if match.person_id is not None]
        if rate is not None:
            known = sorted(
                (match for match in known if rate_of(match) <= rate), key=lambda one: (rate_of(one), -one.score)
            )
        _LOG.info("event %s on a camera settled: %s", event.id, "a match" if known else "somebody new")
        if not known:
            return Identity(f"{UNKNOWN}{event.id}", None)
        return Identity(str(known[0].person_id), known[0].score)
