"""How often a key may ask: a bucket of requests that fills up again as time goes by."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.problems import QueueFullError, RateLimitedError

_MOST_KEYS = 10_000


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
    """At most `per_minute` requests at once and in the long run, for each key by itself; None: no limit."""

    def __init__(self, per_minute: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
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
        now, per_second = self._clock(), self._per_minute / 60
        with self._changing:
            left, since = self._buckets.get(key_id, (float(self._per_minute), now))
            left = min(float(self._per_minute), left + (now - since) * per_second)
            if left >= 1:
                self._buckets[key_id] = (left - 1, now)
                self._forget_full(now, per_second)
                return
            self._buckets[key_id] = (left, now)
        message = f"expected at most {self._per_minute} requests a minute of this key, got more"
        raise RateLimitedError(message, retry_after_s=math.ceil((1 - left) / per_second))

    def _forget_full(self, now: float, per_second: float) -> None:
        """Buckets that are full again say nothing: keys come and go for years."""
        if len(self._buckets) > _MOST_KEYS:
            full_after_s = (self._per_minute or 0) / per_second
            self._buckets = {key: one for key, one in self._buckets.items() if now - one[1] < full_after_s}
