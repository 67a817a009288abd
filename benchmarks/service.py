"""One crop's embedding through the REST API of a real service process, against the bare model on the same bytes."""

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

from reid import threads

threads.configure()

import httpx

from benchmarks.harness import Row, compare, main
from reid.datasets.generated import generate_crops
from reid.predictors import Embedder
from service.child import running_service


def rows() -> Iterator[Row]:
    """The peer is faster by what HTTP, decoding limits and the queue cost: the ratio says how much."""
    buffer = io.BytesIO()
    generate_crops(1, cameras=1, per_camera=1)[0].image.save(buffer, "JPEG", quality=95)
    crop = buffer.getvalue()
    embedder = Embedder.load()
    with (
        tempfile.TemporaryDirectory() as folder,
        running_service(Path(folder) / "home", Path(folder) / "log", settings={"REID_AUTH": "off"}) as running,
    ):

        def served() -> httpx.Response:
            return running.client.post("/v1/embeddings", files={"file": crop}).raise_for_status()

        yield compare(
            "service embedding of one crop vs bare model",
            served,
            lambda: embedder.embed([crop]),
            peer_name="Embedder.embed in process",
            pairs=50,
        )


if __name__ == "__main__":
    main("service", rows)
