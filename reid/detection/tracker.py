"""Which boxes of successive frames are one person's: by overlap with where each was going.

Limits: a person who is hidden for longer than `max_gap_s`, or who turns by more than a box between two frames, begins a
new track; two who cross closely may swap tracks, as nothing is known of what they look like. So give it several frames
a second, and let the search over vectors, not the track, say who is who.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from reid.detection.boxes import Box, Detection, iou

_STEADY = 0.5  # of a velocity is kept from before: detectors tremble


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
    velocity: tuple[float, float] = (0.0, 0.0)  # of the centre, in pixels a second

    def expected(self, time_s: float) -> Box:
        """The box where it would be by now, had its person walked on."""
        left, top, right, bottom = self.detection.box_xyxy
        x, y = (speed * (time_s - self.seen_s) for speed in self.velocity)
        return left + x, top + y, right + x, bottom + y

    def go_on(self, time_s: float, detection: Detection) -> None:
        if (seconds := time_s - self.seen_s) > 0:
            here, there = _centre(self.detection.box_xyxy), _centre(detection.box_xyxy)
            self.velocity = (
                _STEADY * self.velocity[0] + (1 - _STEADY) * (there[0] - here[0]) / seconds,
                _STEADY * self.velocity[1] + (1 - _STEADY) * (there[1] - here[1]) / seconds,
            )
        self.detection, self.seen_s = detection, time_s


class IouTracker:
    """Detections are given to the tracks whose expected boxes they overlap most, the largest overlap first."""

    def __init__(self, *, min_iou: float = 0.3, max_gap_s: float = 1.0) -> None:
        self._min_iou, self._max_gap_s = min_iou, max_gap_s
        self._tracks: list[_Track] = []
        self._next = 0

    def update(self, time_s: float, detections: Sequence[Detection]) -> list[Tracked]:
        """What was found at a time, in any order, by track; times must not fall."""
        self._tracks = [track for track in self._tracks if time_s - track.seen_s <= self._max_gap_s]
        free = set(range(len(detections)))
        for place, track in self._matches(time_s, detections):
            track.go_on(time_s, detections[place])
            free.remove(place)
        for place in sorted(free):
            self._tracks.append(_Track(self._next, detections[place], time_s))
            self._next += 1
        return [Tracked(track.number, track.detection) for track in self._tracks if track.seen_s == time_s]

    @property
    def alive(self) -> set[int]:
        """Tracks that a later detection may still go on."""
        return {track.number for track in self._tracks}

    def _matches(self, time_s: float, detections: Sequence[Detection]) -> list[tuple[int, _Track]]:
        overlaps = iou([one.box_xyxy for one in detections], [track.expected(time_s) for track in self._tracks])
        pairs = [(overlaps[pair], *pair) for pair in zip(*(overlaps >= self._min_iou).nonzero(), strict=True)]
        matches: dict[int, int] = {}
        for _, place, track in sorted(pairs, key=lambda pair: -pair[0]):
            if place not in matches and track not in matches.values():
                matches[place] = track
        return [(place, self._tracks[track]) for place, track in matches.items()]


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
