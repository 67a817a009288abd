"""From Frigate's events to identities: each person's event becomes one sighting of one person, whatever messages say.

Frigate's MQTT messages may be lost, doubled or out of order, so they are only a reason to look; what there is to do,
its REST interface says. An event that has ended is enrolled once, under a tracklet_id of its own, and then given the
person whom the gallery's best match names, or a new one.
"""

import logging
from dataclasses import dataclass

import httpx

from reid.errors import ReidError
from reid.images import crop_box, decode_image, encode_crop
from service import client
from service.client import AsyncClient, ServiceError
from service.frigate.api import Frigate, FrigateError
from service.frigate.events import Event
from service.frigate.ledger import Ledger

_LOG = logging.getLogger("service.frigate")
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

    async def catch_up(self) -> bool:
        """Settle every event that can be settled; whether some are left for later, for one reason or another.

        Raises :class:`FrigateError` where Frigate does not list its events.
        """
        left = False
        for event in await self._frigate.events(self._ledger.after):
            if event.id in self._ledger:
                continue
            try:
                settled = await self._settled(event)
            except (FrigateError, ServiceError, httpx.HTTPError) as error:
                _LOG.warning("event %s waits: %s", event.id, error)
                settled = False
            if settled:
                self._ledger.settle(event.id, event.start_time)
            left = left or not settled
        return left

    async def _settled(self, event: Event) -> bool:
        """Do what is to do for an event; whether nothing is left."""
        if event.end_time is None:
            return False
        if not event.of_a_person:
            return True
        kept = (await self._reid.send(client.sightings(tracklet_id=event.tracklet_id, limit=1))).sightings
        if kept:
            sighting_id, person_id = kept[0].sighting_id, kept[0].person_id
        else:
            crop = await self._crop(event)
            if crop is None:
                return False
            sighting_id, person_id = await self._enrol(event, crop), None
        identity = Identity(person_id, None) if person_id else await self._identify(event, sighting_id)
        if self._write_back and not identity.person_id.startswith(UNKNOWN):
            person = await self._reid.send(client.person(identity.person_id))
            await self._frigate.set_sub_label(event.id, person.name or person.person_id, identity.score)
        return True

    async def _crop(self, event: Event) -> bytes | None:
        """The person, cut out of the clean snapshot; None while there is none."""
        snapshot = await self._frigate.snapshot(event.id)
        if snapshot is None:
            return None
        try:
            frame = decode_image(snapshot)
            box = event.box_xyxy(*frame.size)
            return encode_crop(frame if box is None else crop_box(frame, box))
        except ReidError as error:
            raise FrigateError(f"expected a snapshot that decodes and holds its box: {error}") from error

    async def _enrol(self, event: Event, crop: bytes) -> str:
        said = {"frigate_event": event.id, "zones": event.zones}
        call = client.enrol(
            [crop],
            camera_id=event.camera,
            captured_at=event.began.isoformat(),
            tracklet_id=event.tracklet_id,
            metadata=said,
        )
        return (await self._reid.send(call)).sightings[0].sighting_id

    async def _identify(self, event: Event, sighting_id: str) -> Identity:
        """The person of the best match, else a new one; written to the sighting."""
        (result,) = (
            await self._reid.send(
                client.search(
                    queries=[{"sighting_id": sighting_id}],
                    top_k=1,
                    group_by="person",
                    filter={"exclude_own_tracklet": True},
                    max_false_match_rate=self._terms.max_false_match_rate,
                    min_score=self._terms.min_score,
                )
            )
        ).results
        known = [match for match in result.matches if match.person_id is not None]
        person_id = known[0].person_id if known else None
        identity = Identity(person_id or f"{UNKNOWN}{event.id}", known[0].score if known else None)
        await self._reid.send(client.change_sighting(sighting_id, person_id=identity.person_id))
        _LOG.info("event %s on a camera settled: %s", event.id, "a match" if known else "somebody new")
        return identity
