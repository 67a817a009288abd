"""`make bench`: run every benchmark, or those named, and merge their rows into docs/results/."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_MODULES = (
    "cameras",
    "clips",
    "embedding",
    "enrolment",
    "evaluation",
    "footprint",
    "reranking",
    "search",
    "service",
    "stores",
    "training",
)
_RESULTS = Path(__file__).parent.parent / "docs" / "results"


def main(names: list[str]) -> None:
    """Run each module in a process of its own, so that none inherits another's threads or memory."""
    if unknown := set(names) - set(_MODULES):
        sys.exit(f"expected benchmarks of {_MODULES}, got {sorted(unknown)}")
    rows: dict[str, dict[str, Any]] = {row["name"]: row for row in _known()}
    for name in names or _MODULES:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "rows.json"
            subprocess.run([sys.executable, "-m", f"benchmarks.{name}", "--json", str(out)], check=True)
            rows |= {row["name"]: row for row in json.loads(out.read_text())}
        _write([rows[name] for name in sorted(rows)])  # after each: a later one that fails costs none of them


def _known() -> list[dict[str, Any]]:
    path = _RESULTS / "benchmarks.json"
    known: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    return known


def _write(rows: list[dict[str, Any]]) -> None:
    _RESULTS.mkdir(parents=True, exist_ok=True)
    (_RESULTS / "benchmarks.json").write_text(json.dumps(rows, indent=1) + "\n")
    lines = [
        "# Benchmarks",
        "",
        "Medians of paired runs on one machine; a ratio above 1 means that ours is better. Written by `make bench`;",
        "hardware and versions of each row are in `benchmarks.json`.",
        "",
        "| benchmark | ours | peer | unit | ratio | spread | peer is |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        low, high = row["spread"]
        lines.append(
            f"| {row['name']} | {row['ours']:g} | {row['peer']:g} | {row['unit']} | {row['ratio']:.2f} "
            f"| {low:g}–{high:g} | {row['peer_name']} |"
        )
    (_RESULTS / "benchmarks.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
