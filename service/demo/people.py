"""Whom the demo enrols and asks for: Market-1501 where it is at hand, drawn people where it is not."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from reid.datasets.generated import GeneratedCrop, generate_crops
from reid.datasets.market1501 import FRAMES_PER_SECOND, Market1501, MarketCrop, read_market1501
from reid.evaluation.labels import DISTRACTOR_PID
from reid.images import encode_crop

PEOPLE = 40
STRANGERS = 100
QUERIES = 12
CROPS_PER_CAMERA = 2
DRAWN_CAMERAS = 4

_BEGINNING = datetime(2026, 1, 5, 9, tzinfo=UTC)  # invented: the data say frame numbers, not dates
_SEQUENCE = timedelta(hours=2)

Item = TypeVar("Item")


@dataclass(frozen=True)
class DemoSighting:
    """One crop to enrol (JPEG bytes), or to ask for; strangers have no person_id."""

    image: bytes
    person_id: str | None
    camera_id: str
    captured_at: datetime
    tracklet_id: str | None


@dataclass(frozen=True)
class DemoPeople:
    """Sightings to enrol and queries, each of a person whom at least one other camera saw."""

    name: str
    note: str
    sightings: list[DemoSighting]
    queries: list[DemoSighting]


def market_people(root: Path) -> DemoPeople:
    """The first people of Market-1501's test part whom at least two cameras saw, among its distractors.

    Raises DatasetError where `root` does not hold the dataset.
    """
    data = read_market1501(root)
    chosen = _seen_twice(data)[:PEOPLE]
    known = [crop for pid in chosen for crop in _first_of_each_camera(data.gallery, pid)]
    strangers = _evenly([crop for crop in data.gallery if crop.pid == DISTRACTOR_PID], STRANGERS)
    queries = [_one_query(data, pid, number) for number, pid in enumerate(_evenly(chosen, QUERIES))]
    return DemoPeople(
        name="market-1501",
        note="real crops of Market-1501 (research use only; do not redistribute, nor the picture)",
        sightings=[_of_market(crop) for crop in (*known, *strangers)],
        queries=[_of_market(crop) for crop in queries],
    )


def generated_people() -> DemoPeople:
    """Drawn people: on each camera, one crop to ask for and the others to enrol."""
    crops = generate_crops(PEOPLE, DRAWN_CAMERAS, 1 + CROPS_PER_CAMERA)
    strangers = generate_crops(STRANGERS // DRAWN_CAMERAS, DRAWN_CAMERAS, 1, seed=1)
    asked = {pid: 1 + number % DRAWN_CAMERAS for number, pid in enumerate(_evenly(list(range(1, PEOPLE + 1)), QUERIES))}
    return DemoPeople(
        name="generated",
        note="generated people, drawn by code: they show how it works, not how well",
        sightings=[
            *(_of_drawing(crop, f"drawn-{crop.pid:04d}") for crop in crops if crop.index > 0),
            *(_of_drawing(crop, None) for crop in strangers),
        ],
        queries=[
            _of_drawing(crop, f"drawn-{crop.pid:04d}")
            for crop in crops
            if crop.index == 0 and asked.get(crop.pid) == crop.camid
        ],
    )


def _seen_twice(data: Market1501) -> list[int]:
    cameras: dict[int, set[int]] = {}
    for crop in data.gallery:
        cameras.setdefault(crop.pid, set()).add(crop.camid)
    return sorted(pid for pid in {crop.pid for crop in data.query} if len(cameras.get(pid, ())) >= 2)


def _one_query(data: Market1501, pid: int, number: int) -> MarketCrop:
    """One of the person's queries, in turn: their first ones are nearly all of camera 1."""
    own = [crop for crop in data.query if crop.pid == pid]
    return own[number % len(own)]


def _first_of_each_camera(gallery: Iterable[MarketCrop], pid: int) -> list[MarketCrop]:
    own = sorted((crop for crop in gallery if crop.pid == pid), key=lambda crop: crop.camid)
    return [crop for _, seen in groupby(own, lambda crop: crop.camid) for crop in list(seen)[:CROPS_PER_CAMERA]]


def _evenly(items: list[Item], count: int) -> list[Item]:
    return items[:: max(1, len(items) // count)][:count]


def _of_market(crop: MarketCrop) -> DemoSighting:
    person_id = None if crop.pid == DISTRACTOR_PID else f"market-{crop.pid:04d}"
    return DemoSighting(
        image=crop.path.read_bytes(),
        person_id=person_id,
        camera_id=f"c{crop.camid}",
        captured_at=_BEGINNING + (crop.sequence - 1) * _SEQUENCE + timedelta(seconds=crop.frame / FRAMES_PER_SECOND),
        tracklet_id=person_id and f"{person_id}-c{crop.camid}s{crop.sequence}",
    )


def _of_drawing(crop: GeneratedCrop, person_id: str | None) -> DemoSighting:
    return DemoSighting(
        image=encode_crop(crop.image),
        person_id=person_id,
        camera_id=f"c{crop.camid}",
        captured_at=_BEGINNING + timedelta(minutes=crop.pid + 2 * crop.camid, seconds=crop.index),
        tracklet_id=person_id and f"{person_id}-c{crop.camid}",
    )
