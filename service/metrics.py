"""Figures for whoever watches the service, in the text form that Prometheus reads."""

import threading
from collections import Counter

from service.core import Core

MEDIA_TYPE = "text/plain; version=0.0.4"
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


class RequestCounts:
    """How many requests were answered, by method, template of the route, and status."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._counts: Counter[tuple[str, str, int]] = Counter()

    def add(self, method: str, route: str, status: int) -> None:
        """Count one. A method that nobody serves is not named: a caller could make up any number of them."""
        with self._changing:
            self._counts[method if method in _METHODS else "other", route, status] += 1

    def lines(self) -> list[str]:
        """A sample for each combination that occurred."""
        with self._changing:
            counts = sorted(self._counts.items())
        return [
            f'reid_requests_total{{method="{method}",route="{route}",status="{status}"}} {count}'
            for (method, route, status), count in counts
        ]


def exposition(core: Core, requests: RequestCounts) -> str:
    """All figures as text."""
    gauges = {
        "reid_model_waiting": ("requests that wait for the model", core.model.waiting),
        "reid_sightings_indexed": ("sightings that a search looks at", core.gallery.sightings_indexed),
        "reid_change": ("number of the last change", core.gallery.change),
        "reid_erasure_pending": ("1 while something erased is not gone from the disk", int(bool(core.gallery.pending))),
    }
    lines = ["# HELP reid_requests_total requests answered", "# TYPE reid_requests_total counter", *requests.lines()]
    for name, (meaning, value) in gauges.items():
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge", f"{name} {value}"]
    return "\n".join(lines) + "\n"
