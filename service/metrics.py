"""Figures for whoever watches the service, as Prometheus reads them; none of them names anybody."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """One service's figures: what happened, counted here, and what is, asked for when somebody reads."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "reid_requests", "requests answered", ["method", "route", "status"], registry=self._registry
        )
        self._request_seconds = Histogram(
            "reid_request_seconds",
            "time to an answer's end, events left out",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.model_wait_seconds = Histogram(
            "reid_model_wait_seconds", "an image's wait for the model", buckets=_SECONDS, registry=self._registry
        )
        self.model_seconds = Histogram(
            "reid_model_seconds", "the model's time for one batch", buckets=_SECONDS, registry=self._registry
        )
        self.model_batch_images = Histogram(
            "reid_model_batch_images", "images in one batch", buckets=(1, 2, 4, 8, 16, 32), registry=self._registry
        )
        self.stream_frames = Counter(
            "reid_action_stream_frames",
            "frames of action streams",
            ["code"],
            registry=self._registry,
        )
        self.shed = Counter("reid_model_shed", "requests refused or dropped for want of time", registry=self._registry)

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one. A method that nobody serves is not named: a caller could make up any number of them."""
        self._requests.labels(method if method in _METHODS else "other", route, str(status)).inc()
        if route != "/v1/events":
            self._request_seconds.labels(route).observe(seconds)

    def watch(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Have a figure asked for whenever somebody reads."""
        Gauge(name, meaning, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """All figures."""
        return generate_latest(self._registry)
