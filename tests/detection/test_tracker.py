from hypothesis import given
from hypothesis import strategies as st

from reid.detection import Detection, IouTracker
from reid.detection.boxes import iou


def box(left: float, top: float = 0, width: float = 10, height: float = 20) -> Detection:
    return Detection((left, top, left + width, top + height), 0.9)


def tracks(tracker: IouTracker, time_s: float, *found: Detection) -> dict[float, int]:
    """Left edges → tracks."""
    return {one.detection.box_xyxy[0]: one.track for one in tracker.update(time_s, found)}


def test_two_people_who_walk_keep_their_tracks() -> None:
    tracker = IouTracker()
    assert tracks(tracker, 0.0, box(0), box(100)) == {0: 0, 100: 1}
    assert tracks(tracker, 0.2, box(98), box(3)) == {3: 0, 98: 1}
    assert tracks(tracker, 0.4, box(6), box(96), box(300)) == {6: 0, 96: 1, 300: 2}


def test_the_largest_overlap_is_given_first() -> None:
    tracker = IouTracker(min_iou=0.1)
    tracks(tracker, 0.0, box(0), box(10))
    assert tracks(tracker, 0.2, box(8), box(9)) == {8: 0, 9: 1}  # both overlap the second most, 9 more so


def test_somebody_who_runs_is_followed_by_where_they_were_going() -> None:
    tracker = IouTracker()
    for number, left in enumerate((0, 5, 12, 22, 33, 44)):  # in the end by more than a box's width a frame
        assert tracks(tracker, number * 0.2, box(left)) == {left: 0}


def test_a_gap_that_is_too_long_ends_a_track() -> None:
    tracker = IouTracker(max_gap_s=1.0)
    tracks(tracker, 0.0, box(0))
    assert tracks(tracker, 1.0, box(0)) == {0: 0}
    assert tracks(tracker, 1.5) == {}
    assert tracker.alive == {0}
    assert tracks(tracker, 2.5, box(0)) == {0: 1}
    assert tracker.alive == {1}


boxes = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 20), st.integers(0, 20)).map(
    lambda edges: (edges[0], edges[1], edges[0] + edges[2], edges[1] + edges[3])
)


@given(boxes, boxes)
def test_iou_is_the_share_of_whole_pixels(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    """A slow count over the pixels of a small grid."""

    def pixels(edges: tuple[int, ...]) -> set[tuple[int, int]]:
        return {(x, y) for x in range(edges[0], edges[2]) for y in range(edges[1], edges[3])}

    union = pixels(first) | pixels(second)
    expected = len(pixels(first) & pixels(second)) / len(union) if union else 0.0
    assert abs(iou([first], [second])[0, 0] - expected) < 1e-12  # type: ignore[list-item]


@given(st.lists(st.lists(st.integers(0, 200), max_size=5), max_size=8))
def test_every_detection_has_one_track_and_no_two_share_one(frames: list[list[int]]) -> None:
    tracker = IouTracker()
    for number, lefts in enumerate(frames):
        found = tracker.update(number * 0.2, [box(left) for left in lefts])
        assert sorted(one.detection.box_xyxy[0] for one in found) == sorted(lefts)
        assert len({one.track for one in found}) == len(found)
