"""qdrant-client's local mode in an environment and a process of its own: nothing of it is installed beside us."""

import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VERSION = "1.15.1"
_FOLDER = Path(tempfile.gettempdir()) / f"qdrant-client-{VERSION}"

# Loads vectors and queries, says "ready", then answers one line with a search and a line.
_PEER = """
import sys
import numpy as np
from qdrant_client import QdrantClient, models
vectors, queries = np.load(sys.argv[1]), np.load(sys.argv[2])
client = QdrantClient(":memory:")
dot = models.VectorParams(size=vectors.shape[1], distance=models.Distance.DOT)
client.create_collection("sightings", vectors_config=dot)
client.upload_collection("sightings", vectors, ids=range(len(vectors)))
asked = [models.QueryRequest(query=query.tolist(), limit=10) for query in queries]
print("ready", flush=True)
for line in sys.stdin:
    client.query_batch_points("sightings", asked[: int(line)])
    print("done", flush=True)
"""


@contextmanager
def qdrant_local(vectors: NDArray[np.float32], queries: NDArray[np.float32]) -> Iterator[Callable[[int], object]]:
    """A collection of `vectors` (N, D); the function asks it for the best 10 of the first so many `queries`."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("vectors.npy", "queries.npy")]
        for path, array in zip(paths, (vectors, queries), strict=True):
            np.save(path, array)
        command = [str(_python()), "-W", "ignore", "-c", _PEER, *map(str, paths)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            into, out = process.stdin, process.stdout

            def ask(count: int) -> None:
                into.write(f"{count}\n")
                into.flush()
                assert out.readline() == "done\n"

            assert out.readline() == "ready\n"
            yield ask
            into.close()


def _python() -> Path:
    python = _FOLDER / "bin" / "python"
    if not python.exists():
        venv.create(_FOLDER, with_pip=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", f"qdrant-client=={VERSION}"], check=True, stdout=sys.stderr
        )
    return python
