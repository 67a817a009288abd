"""How often a key may ask: a bucket of requests that fills up again as time goes by."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.problems import QueueFullError, RateLimitedError

_MOST_KEYS = 10_000
_FULL_AFTER_S = 60.0  # an empty bucket, whatever the rate


class AtMost:
    """So many of something at a time, and no more."""

    def __init__(self, most: int, what: str) -> None:
        self._most, self._what = most, what
        self._changing = threading.Lock()
        self.count = 0

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count one for as long as it lasts; raises QueueFullError if there are as many as may be."""
        with self._changing:
            if self.count >= self._most:
                raise QueueFullError(f"expected at most {self._most} {self._what}, got one more")
            self.count += 1
        try:
            yield
        finally:
            with self._changing:
                self.count -= 1


class RateLimit:
    """At most `per_minute` requests at once and in the long run, for each key by itself; None: no limit.

    `count` is asked first: what counts the requests of all services gives the seconds that one comes too early; None
    where there is no such thing, and they are counted here.
    """

    def __init__(
        self,
        per_minute: int | None,
        clock: Callable[[], float] = time.monotonic,
        count: Callable[[str, int], float | None] = lambda _, __: None,
    ) -> None:
        self._per_minute = per_minute
        self._count = count
        self._clock = clock
        self._changing = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}  # what is left, and when that was

    def take(self, key_id: str) -> None:
        """Count one request; raises RateLimitedError with the seconds until the next one is let through.

        >>> limit = RateLimit(60, clock=lambda: 0.0)
        >>> for _ in range(60):
        ...     limit.take("a")
        >>> limit.take("a")
        Traceback (most recent call last):
        service.problems.RateLimitedError: expected at most 60 requests a minute of this key, got more
        """
        if self._per_minute is None:
            return
        early_s = self._count(key_id, self._per_minute)
        if early_s is None:
            early_s = self._count_here(key_id, self._per_minute)
        if early_s > 0:
            message = f"expected at most {self._per_minute} requests a minute of this key, got more"
            raise RateLimitedError(message, retry_after_s=math.ceil(early_s))

    def _count_here(self, key_id: str, per_minute: int) -> float:
        now, per_second = self._clock(), per_minute / 60
        with self._changing:
            left, since = self._buckets.get(key_id, (float(per_minute), now))
            left = min(float(per_minute), left + (now - since) * per_second)
            if left >= 1:
                self._buckets[key_id] = (left - 1, now)
                self._forget_full(now)
                return 0
            self._buckets[key_id] = (left, now)
        return (1 - left) / per_second

    def _forget_full(self, now: float) -> None:
        """Buckets that are full again say nothing: keys come and go for years."""
        if len(self._buckets) > _MOST_KEYS:
            self._buckets = {key: one for key, one in self._buckets.items() if now - one[1] < _FULL_AFTER_S}
