"""How long people take from one camera to the next, learned from identities as they are given."""

import math
from collections import Counter
from dataclasses import dataclass

HORIZON_S = 3600.0
"""Whoever was last seen longer ago may be anywhere: their times say nothing."""
LARGEST = 10.0
"""How many times rarer a false match can be made by its time alone."""
_PRIOR = 20.0  # steps that have to be seen until they count as much as having seen none
_SMALLEST = 0.1  # who looks alike beyond doubt may come from where nobody ever came


@dataclass(frozen=True)
class Step:
    """From where to where, and how long it took: the octave of its seconds."""

    origin: str
    camera: str
    octave: int


class Transitions:
    """The steps of people from where each was last seen, beside those that anybody could have made at that moment.

    A false match that is made by looks alone falls on somebody whose last sighting has nothing to do with this one: its
    step is drawn from those of anybody. :meth:`ratio`, the share of a step among those of one person divided by its
    share among those of anybody, has the mean 1 over them. So the false-match rate of a score, divided by it, is still
    a bound on the rate of false matches: a p-value divided by an e-value (Vovk and Wang, E-values, 2021). Shares of one
    person are drawn towards those of anybody by `_PRIOR` steps: where nothing was learned, the ratio is 1. It is mixed
    with 1, so that it stays above `_SMALLEST`.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, float]] = {}
        self._own: Counter[Step] = Counter()
        self._anybodys: Counter[Step] = Counter()
        self._num_own: Counter[str] = Counter()  # by the camera where steps end
        self._num_anybodys: Counter[str] = Counter()

    def ratio(self, person_id: str, camera: str, at_s: float) -> float:
        """How much likelier the person is to come to a camera at that time (seconds) than anybody; LARGEST at most."""
        step = self._step(person_id, camera, at_s)
        if step is None or not self._num_anybodys[camera]:
            return 1.0
        steps = self._num_own[camera] + _PRIOR
        own = self._own[step] and self._own[step] * self._num_anybodys[camera] / self._anybodys[step]
        return min(LARGEST, _SMALLEST + (1 - _SMALLEST) * (own + _PRIOR) / steps)

    def settle(self, person_id: str, camera: str, at_s: float) -> None:
        """Learn that the person was there. Times should rise; what comes late is not learned from."""
        for other in list(self._last):
            if at_s - self._last[other][1] > HORIZON_S:
                del self._last[other]
                continue
            if (step := self._step(other, camera, at_s)) is not None:
                self._anybodys[step] += 1
                self._num_anybodys[camera] += 1
                if other == person_id:
                    self._own[step] += 1
                    self._num_own[camera] += 1
        if person_id not in self._last or self._last[person_id][1] <= at_s:
            self._last[person_id] = camera, at_s

    def _step(self, person_id: str, camera: str, at_s: float) -> Step | None:
        origin, since_s = self._last.get(person_id, ("", math.inf))
        if not 0 <= at_s - since_s <= HORIZON_S:
            return None
        return Step(origin, camera, int(math.log2(1 + at_s - since_s)))
