"""The best crops of each person who walks through a video, few and apart."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import sqrt

from PIL import Image

from reid.detection import Detector, IouTracker
from reid.detection.boxes import Box
from reid.images import crop_box
from service.ingest.frames import Frame

_EDGE_PX = 2
_CUT_OFF = 0.5  # what a crop at the frame's edge is worth: it may lack a leg
_APART_S = 0.5
_FEWEST_FRAMES = 3  # a box that no second frame confirms is more often a mistake than a person
_SMALLEST_PX = 8


@dataclass(frozen=True)
class BestCrop:
    """A crop, when it was taken, and how good it is: score × √area, halved at the frame's edge."""

    image: Image.Image
    time_s: float
    quality: float


@dataclass
class Tracklet:
    """One track's best crops so far, in order of time."""

    number: int
    crops: list[BestCrop]
    frames: int = 0

    def offer(self, crop: BestCrop, most: int) -> None:
        """Keep a crop if it is among the best `most`, none within half a second of a better one."""
        self.frames += 1
        near = [kept for kept in self.crops if abs(kept.time_s - crop.time_s) < _APART_S]
        if any(kept.quality >= crop.quality for kept in near):
            return
        kept = [other for other in self.crops if other not in near] + [crop]
        best = sorted(kept, key=lambda one: -one.quality)[:most]
        self.crops = sorted(best, key=lambda one: one.time_s)


def tracklets_of(frames: Iterable[Frame], detector: Detector, crops_each: int) -> Iterator[Tracklet]:
    """Each person's tracklet as soon as it has ended, with at most `crops_each` crops; memory holds those alive alone.

    Tracks of fewer than three frames are left out.
    """
    tracker, alive = IouTracker(), dict[int, Tracklet]()
    for frame in frames:
        for tracked in tracker.update(frame.time_s, detector.detect(frame.image)):
            crop = _crop(frame, tracked.detection.box_xyxy, tracked.detection.score)
            tracklet = alive.setdefault(tracked.track, Tracklet(tracked.track, []))
            if crop is not None:
                tracklet.offer(crop, crops_each)
        for number in sorted(alive.keys() - tracker.alive):
            yield from _whole(alive.pop(number))
    for number in sorted(alive):
        yield from _whole(alive[number])


def _whole(tracklet: Tracklet) -> list[Tracklet]:
    return [tracklet] if tracklet.frames >= _FEWEST_FRAMES else []


def _crop(frame: Frame, box: Box, score: float) -> BestCrop | None:
    left, top, right, bottom = (round(edge) for edge in box)
    if min(right - left, bottom - top) < _SMALLEST_PX:
        return None
    width, height = frame.image.size
    at_edge = left < _EDGE_PX or top < _EDGE_PX or right > width - _EDGE_PX or bottom > height - _EDGE_PX
    quality = score * sqrt((right - left) * (bottom - top)) * (_CUT_OFF if at_edge else 1)
    return BestCrop(crop_box(frame.image, (left, top, right, bottom)), frame.time_s, quality)
