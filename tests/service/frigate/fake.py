"""A Frigate of the documented shapes, with as many faults as a test wants."""

import io
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from PIL import Image

from tests.service.conftest import crop

FRAME_WH = (320, 240)
BOX = [0.25, 0.25, 0.1, 0.2667]  # left, top, width, height as shares: 32 × 64 px


def event(number: int, camera: str = "door", **changes: Any) -> dict[str, Any]:
    """An event of a person that has ended."""
    began = 1_770_000_000.0 + number
    return {
        "id": f"{began}-e{number}",
        "camera": camera,
        "label": "person",
        "sub_label": None,
        "start_time": began,
        "end_time": began + 5,
        "false_positive": False,
        "has_snapshot": True,
        "zones": ["porch"],
        "thumbnail": "",
        "data": {"box": BOX, "score": 0.8, "type": "object"},
        **changes,
    }


def frame_of(seed: int) -> bytes:
    """A clean snapshot: the crop of a seed in its box, on grey."""
    frame = Image.new("RGB", FRAME_WH, "grey")
    with Image.open(io.BytesIO(crop(seed))) as person:
        frame.paste(person.convert("RGB"), (80, 60))
    buffer = io.BytesIO()
    frame.save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()


@dataclass
class FakeFrigate:
    """What it knows, what it was told, and its faults: statuses to answer first, by path."""

    events: list[dict[str, Any]] = field(default_factory=list)
    seeds: dict[str, int] = field(default_factory=dict)
    sub_labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: dict[str, list[int]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    password: str | None = None
    url: str = ""

    def add(self, seed: int, number: int, camera: str, **changes: Any) -> str:
        """An event that shows the crop of a seed; its id."""
        one = event(number, camera, **changes)
        self.events.append(one)
        self.seeds[one["id"]] = seed
        return str(one["id"])

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, bytes]:
        """Status and body."""
        self.asked[f"{method} {path}"] += 1
        if self.faults.get(path):
            return self.faults[path].pop(0), b"{}"
        match method, path.strip("/").split("/"):
            case "GET", ["api", "events"]:
                return 200, json.dumps(self._listed(query)).encode()
            case "GET", ["api", "events", event_id]:
                found = [one for one in self.events if one["id"] == event_id]
                return (200, json.dumps(found[0]).encode()) if found else (404, b"{}")
            case "GET", ["api", "events", event_id, "snapshot-clean.webp"]:
                return 200, self.snapshot(event_id)
            case "POST", ["api", "events", event_id, "sub_label"]:
                self.sub_labels[event_id] = body
                return 200, b"{}"
            case _:
                return 404, b"{}"

    def snapshot(self, event_id: str) -> bytes:
        """The clean snapshot of an event."""
        return frame_of(self.seeds[event_id])

    def _listed(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        assert query["labels"] == ["person"]
        after, before = (float(query.get(name, [other])[0]) for name, other in (("after", "0"), ("before", "inf")))
        chosen = [one for one in self.events if after < one["start_time"] < before and one["has_snapshot"]]
        return sorted(chosen, key=lambda one: -one["start_time"])[: int(query["limit"][0])]


@contextmanager
def serving(fake: FakeFrigate) -> Iterator[FakeFrigate]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            headers = {}
            if parts.path == "/api/login":
                status, content = (200, b"{}") if body["password"] == fake.password else (401, b"{}")
                headers = {"Set-Cookie": "frigate_token=t; Path=/"} if status == 200 else {}
            elif fake.password is not None and "frigate_token=t" not in self.headers.get("Cookie", ""):
                status, content = 401, b"{}"
            else:
                status, content = fake.answer(self.command, parts.path, parse_qs(parts.query), body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
