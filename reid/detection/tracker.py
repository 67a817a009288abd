"""Which boxes of successive frames are one person's: by overlap alone.

Limits: a person who is hidden for longer than `max_gap_s`, or who moves by more than a box between two frames, begins a
new track; two who cross closely may swap tracks. So give it several frames a second, and let the search over vectors,
not the track, say who is who.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from reid.detection.boxes import Detection, iou


@dataclass(frozen=True)
class Tracked:
    """A detection, and the number of the track that it goes on or begins."""

    track: int
    detection: Detection


@dataclass
class _Track:
    number: int
    detection: Detection
    seen_s: float


class IouTracker:
    """Detections are given to the tracks they overlap most, greedily, the largest overlap first."""

    def __init__(self, *, min_iou: float = 0.3, max_gap_s: float = 1.0) -> None:
        self._min_iou, self._max_gap_s = min_iou, max_gap_s
        self._tracks: list[_Track] = []
        self._next = 0

    def update(self, time_s: float, detections: Sequence[Detection]) -> list[Tracked]:
        """What was found at a time, in any order, by track; times must not fall."""
        self._tracks = [track for track in self._tracks if time_s - track.seen_s <= self._max_gap_s]
        free = set(range(len(detections)))
        for place, track in self._matches(detections):
            track.detection, track.seen_s = detections[place], time_s
            free.remove(place)
        for place in sorted(free):
            self._tracks.append(_Track(self._next, detections[place], time_s))
            self._next += 1
        return [Tracked(track.number, track.detection) for track in self._tracks if track.seen_s == time_s]

    @property
    def alive(self) -> set[int]:
        """Tracks that a later detection may still go on."""
        return {track.number for track in self._tracks}

    def _matches(self, detections: Sequence[Detection]) -> list[tuple[int, _Track]]:
        overlaps = iou([one.box_xyxy for one in detections], [track.detection.box_xyxy for track in self._tracks])
        pairs = [(overlaps[pair], *pair) for pair in zip(*(overlaps >= self._min_iou).nonzero(), strict=True)]
        matches: dict[int, int] = {}
        for _, place, track in sorted(pairs, key=lambda pair: -pair[0]):
            if place not in matches and track not in matches.values():
                matches[place] = track
        return [(place, self._tracks[track]) for place, track in matches.items()]
