"""Which frames of a clip are looked at: pure functions of how many there are."""

from dataclasses import dataclass, replace
from enum import StrEnum


class Policy(StrEnum):
    """How frames are chosen."""

    MIDDLE = "middle"
    UNIFORM = "uniform"
    DENSE = "dense"


@dataclass(frozen=True)
class Sampling:
    """`num_frames` (T) of each window.

    `middle`: T in a row from the middle, ``start = max(n - T, 0) // 2``, a shorter clip looped (index mod n), as the
    action paper does. `uniform`: T spread over the whole clip, the middle of each T-th part. `dense`: windows of T in a
    row, one after another, the last one ending with the clip; a clip shorter than T is one looped window.

    With a `rate_hz` a row is of frames that far apart, as nearly as the clip's own frames allow, from the first one on.
    """

    policy: Policy = Policy.MIDDLE
    num_frames: int = 40
    rate_hz: float = 0.0  # 0: every frame

    def __post_init__(self) -> None:
        """Raise ``ValueError`` on a policy or number that samples nothing; a policy may be given by its name."""
        object.__setattr__(self, "policy", Policy(self.policy))
        if self.num_frames < 1:
            raise ValueError(f"expected at least 1 frame, got {self.num_frames}")
        if self.rate_hz < 0 or (self.rate_hz and self.policy is Policy.UNIFORM):
            raise ValueError(f"expected a rate of at least 0 Hz, and none for uniform frames, got {self.rate_hz}")

    def step(self, fps: float) -> int:
        """How many frames of a clip of `fps` (0: unknown) from one that is looked at to the next."""
        return max(1, round(fps / self.rate_hz)) if self.rate_hz else 1


@dataclass(frozen=True)
class Window:
    """Frame numbers (T,) of one window, in the order that the network sees them."""

    frames: tuple[int, ...]

    @property
    def first(self) -> int:
        """The earliest frame."""
        return min(self.frames)

    @property
    def last(self) -> int:
        """The latest frame."""
        return max(self.frames)


def windows_of(sampling: Sampling, num_frames: int, fps: float = 0.0) -> tuple[Window, ...]:
    """The windows of a clip of `num_frames` frames (n ≥ 1), of `fps` (0: unknown).

    >>> windows_of(Sampling("middle", 4), 7)
    (Window(frames=(1, 2, 3, 4)),)
    >>> windows_of(Sampling("middle", 4), 3)
    (Window(frames=(0, 1, 2, 0)),)
    >>> windows_of(Sampling("uniform", 3), 9)
    (Window(frames=(1, 4, 7)),)
    >>> [window.frames for window in windows_of(Sampling("dense", 4), 10)]
    [(0, 1, 2, 3), (4, 5, 6, 7), (6, 7, 8, 9)]
    >>> windows_of(Sampling("middle", 3, rate_hz=5), 20, fps=25)
    (Window(frames=(0, 5, 10)),)
    """
    if num_frames < 1:
        raise ValueError(f"expected a clip of at least 1 frame, got {num_frames}")
    step = sampling.step(fps)
    if step > 1:
        sparse = windows_of(replace(sampling, rate_hz=0.0), -(-num_frames // step))
        return tuple(Window(tuple(frame * step for frame in window.frames)) for window in sparse)
    length = sampling.num_frames
    match sampling.policy:
        case Policy.MIDDLE:
            return (_in_a_row(max(num_frames - length, 0) // 2, length, num_frames),)
        case Policy.UNIFORM:
            return (Window(tuple((2 * place + 1) * num_frames // (2 * length) for place in range(length))),)
        case Policy.DENSE:
            starts = range(0, max(num_frames - length, 0) + 1, length)
            last = max(num_frames - length, 0)
            every = [*starts, last] if starts[-1] != last else list(starts)
            return tuple(_in_a_row(start, length, num_frames) for start in every)


def _in_a_row(start: int, length: int, num_frames: int) -> Window:
    return Window(tuple((start + place) % num_frames for place in range(length)))
