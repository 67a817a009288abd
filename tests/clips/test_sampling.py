import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid.clips.sampling import Policy, Sampling, windows_of


@pytest.mark.parametrize("num_frames", range(1, 201))
def test_the_middle_is_the_papers_rule(num_frames: int) -> None:
    start = max(num_frames - 40, 0) // 2
    expected = tuple((start + place) % num_frames for place in range(40))
    assert [window.frames for window in windows_of(Sampling(), num_frames)] == [expected]


@given(st.integers(1, 300), st.integers(1, 60))
def test_uniform_frames_are_the_middles_of_equal_parts(num_frames: int, length: int) -> None:
    (window,) = windows_of(Sampling(Policy.UNIFORM, length), num_frames)
    assert len(window.frames) == length
    assert list(window.frames) == sorted(window.frames)
    assert 0 <= window.first <= window.last < num_frames
    expected = tuple(int((place + 0.5) * num_frames / length) for place in range(length))
    assert all(abs(ours - theirs) <= 1 for ours, theirs in zip(window.frames, expected, strict=True))


@given(st.integers(1, 300), st.integers(1, 60))
def test_dense_windows_cover_every_frame_to_the_end(num_frames: int, length: int) -> None:
    windows = windows_of(Sampling(Policy.DENSE, length), num_frames)
    assert {frame for window in windows for frame in window.frames} == set(range(num_frames))
    assert all(len(window.frames) == length for window in windows)
    assert windows[-1].last == num_frames - 1
    assert len(windows) == max(1, -(-num_frames // length))


def test_what_samples_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at least 1 frame, got 0"):
        Sampling(num_frames=0)
    with pytest.raises(ValueError, match="expected a clip of at least 1 frame, got 0"):
        windows_of(Sampling(), 0)
    with pytest.raises(ValueError, match="'random' is not a valid Policy"):
        Sampling("random")  # type: ignore[arg-type]
