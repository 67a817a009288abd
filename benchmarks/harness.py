"""Two ways to do one job, timed in turn on one machine in one run: `ours, peer, ours, peer, …`."""

import argparse
import dataclasses
import importlib.metadata
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from reid.threads import available_processors

_PACKAGES = ("torch", "openvino", "numpy", "faiss-cpu", "faiss-gpu", "fastapi")


@dataclass(frozen=True)
class Row:
    """One comparison. `ratio` above 1 always means that ours is better; `spread` is the ratio's least and greatest."""

    name: str
    ours: float
    peer: float
    peer_name: str
    ratio: float
    unit: str
    higher_is_better: bool
    spread: tuple[float, float]
    hardware: str
    versions: dict[str, str]
    command: str


def compare(
    name: str, ours: Callable[[], object], peer: Callable[[], object], *, peer_name: str, pairs: int = 7, per: int = 1
) -> Row:
    """Time two callables in turn, after one uncounted run of each: medians in ms per item, ratios pair by pair.

    `per` is how many items one call does (queries, images).
    """
    ours(), peer()
    times = [(_milliseconds(ours) / per, _milliseconds(peer) / per) for _ in range(pairs)]
    return measured(name, times, peer_name=peer_name, unit="ms")


def measured(
    name: str, pairs: Sequence[tuple[float, float]], *, peer_name: str, unit: str, higher_is_better: bool = False
) -> Row:
    """A row of figures that were measured otherwise: ours and the peer's, pair by pair."""
    ratios = [our / theirs if higher_is_better else theirs / our for our, theirs in pairs]
    return Row(
        name=name,
        ours=round(statistics.median(our for our, _ in pairs), 4),
        peer=round(statistics.median(theirs for _, theirs in pairs), 4),
        peer_name=peer_name,
        ratio=round(statistics.median(ratios), 3),
        unit=unit,
        higher_is_better=higher_is_better,
        spread=(round(min(ratios), 3), round(max(ratios), 3)),
        hardware=hardware(),
        versions=dict(_versions()),
        command="",
    )


def main(module: str, rows: Callable[..., Iterable[Row]], **options: float) -> None:
    """Run a benchmark module from the command line: print its table, write its rows with `--json FILE`.

    Each of `options`, by name and default, becomes a flag, and is given to `rows`.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{module}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here")
    for name, default in options.items():
        parser.add_argument(f"--{name}", type=float, default=default, help=f"default: {default:g}")
    arguments = parser.parse_args()
    given = {name: getattr(arguments, name) for name in options}
    command = f"python -m benchmarks.{module}"
    command += "".join(f" --{name} {value:g}" for name, value in given.items() if value != options[name])
    done = [dataclasses.replace(row, command=command) for row in rows(**given)]
    print_rows(done)
    if arguments.json:
        arguments.json.write_text(json.dumps([dataclasses.asdict(row) for row in done], indent=1) + "\n")


def print_rows(rows: Sequence[Row]) -> None:
    """Print rows as a table."""
    table = Table("benchmark", "ours", "peer", "unit", "ratio", "spread", "peer is")
    for row in rows:
        low, high = row.spread
        table.add_row(
            row.name,
            f"{row.ours:g}",
            f"{row.peer:g}",
            row.unit,
            f"{row.ratio:.2f}×",
            f"{low:g}–{high:g}",
            row.peer_name,
        )
    Console().print(table)


def resident_mb(pid: int) -> float:
    """How much memory a process has just now."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def hardware() -> str:
    """The processor's name and how many of it we may use."""
    cpuinfo = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
    return f"{available_processors()} × {names[0] if names else platform.machine()}"


def _milliseconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - started)


def _versions() -> Iterator[tuple[str, str]]:
    yield "python", platform.python_version()
    for package in _PACKAGES:
        try:
            yield package, importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue  # one of the two FAISS packages is always absent
