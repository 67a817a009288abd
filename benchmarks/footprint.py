"""What the service takes up: time to import and to be ready, memory, and the size of what is installed."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from reid import threads

threads.configure()

from benchmarks.filled_gallery import fill
from benchmarks.harness import Row, compare, main, measured, resident_mb
from reid.bundle import SHIPPED
from reid.predictors import Embedder
from service.child import running_service

_SOURCE = Path(__file__).parent.parent
_PACKAGED = ("reid", "service", "trainer", "pyproject.toml", "README.md", "LICENSE")
_SIGHTINGS = 100_000
_TORCH = "torch and torchvision, which it stands on"
_MB = 10**6


def rows() -> Iterator[Row]:
    """Each against the part of it that is not ours to save."""
    yield compare(
        "footprint import of the service vs of torch and torchvision",
        partial(_run, "import service.app, service.core"),
        partial(_run, "import torch, torchvision"),
        peer_name=_TORCH,
        pairs=5,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with _started(folder / "empty"):
            pass  # the first start converts the network; the next ones find it kept
        yield compare(
            "footprint time to ready vs import of torch and torchvision",
            partial(_start, folder / "empty"),
            partial(_run, "import torch, torchvision"),
            peer_name=_TORCH,
            pairs=5,
        )
        yield from _memory(folder)
        yield _wheel(folder)


def _memory(folder: Path) -> Iterator[Row]:
    with _started(folder / "empty") as idle_mb, _importing("import torch, torchvision") as alone_mb:
        yield _sizes("memory of an empty service vs of torch and torchvision", idle_mb, alone_mb, _TORCH)
    embedder = Embedder.load()
    fill(folder / "filled", embedder, _SIGHTINGS)
    shutil.copytree(folder / "empty" / "cache", folder / "filled" / "cache")
    with _started(folder / "filled") as filled_mb:
        vectors_mb = _SIGHTINGS * embedder.dimension * 2 / 2**20
        what = f"memory of {_SIGHTINGS // 1000}k sightings vs of their vectors"
        yield _sizes(what, filled_mb - idle_mb, vectors_mb, "half-precision numbers alone")


def _wheel(folder: Path) -> Row:
    source = folder / "source"
    source.mkdir()
    for name in _PACKAGED:
        copy = shutil.copytree if (_SOURCE / name).is_dir() else shutil.copyfile
        copy(_SOURCE / name, source / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--wheel-dir", str(folder / "wheel"), str(source)], check=True)
    (wheel,) = (folder / "wheel").glob("*.whl")
    weights = sum(file.stat().st_size for file in SHIPPED.glob("*/weights.safetensors"))
    return _sizes("wheel vs its weights", wheel.stat().st_size / _MB, weights / _MB, "the shipped bundles' weights")


def _sizes(what: str, ours: float, peer: float, peer_name: str) -> Row:
    return measured(f"footprint {what}", [(ours, peer)], peer_name=peer_name, unit="MB")


def _run(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, cwd=_SOURCE)


def _start(home: Path) -> None:
    with _started(home):
        pass


@contextmanager
def _started(home: Path) -> Iterator[float]:
    """The memory of a service over `home` once it is ready."""
    with running_service(home, home.with_suffix(".log"), settings={"REID_AUTH": "off"}) as running:
        yield resident_mb(running.process.pid)


@contextmanager
def _importing(code: str) -> Iterator[float]:
    """The memory of a process that did that and no more."""
    waits = f"{code}; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", waits], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_SOURCE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield resident_mb(process.pid)
        process.communicate(b"\n")


if __name__ == "__main__":
    main("footprint", rows)
