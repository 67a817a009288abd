import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid.clips.sampling import Policy, Sampling, windows_of


@pytest.mark.parametrize("num_frames", range(1, 201))
def test_the_sampler_equals_the_papers_rule_on_every_length(num_frames: int) -> None:
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


@given(
    st.integers(1, 300),
    st.integers(1, 40),
    st.floats(1, 120),
    st.floats(1, 60),
    st.sampled_from([Policy.MIDDLE, Policy.DENSE]),
)
def test_with_a_rate_windows_are_those_of_the_clip_thinned_out(
    num_frames: int, length: int, fps: float, rate_hz: float, policy: Policy
) -> None:
    step = max(1, round(fps / rate_hz))
    thin = range(0, num_frames, step)
    expected = [
        tuple(thin[place] for place in window.frames) for window in windows_of(Sampling(policy, length), len(thin))
    ]
    found = windows_of(Sampling(policy, length, rate_hz), num_frames, fps)
    assert [window.frames for window in found] == expected


def test_what_samples_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at least 1 frame, got 0"):
        Sampling(num_frames=0)
    with pytest.raises(ValueError, match="expected a clip of at least 1 frame, got 0"):
        windows_of(Sampling(), 0)
    with pytest.raises(ValueError, match="none for uniform frames, got 8"):
        Sampling(Policy.UNIFORM, rate_hz=8)
    with pytest.raises(ValueError, match="'random' is not a valid Policy"):
        Sampling("random")  # type: ignore[arg-type] # what a bundle may say
