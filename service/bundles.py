"""The bundles on disk that this service can use: those shipped, and those in REID_HOME/models."""

import logging
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from reid.bundle import SHIPPED, Bundle, Kind, bundle_kind, read_bundle
from reid.errors import BundleError
from reid.kinds import ACTION, CLASSIFIER, EMBEDDING

_LOG = logging.getLogger(__name__)
KINDS: Mapping[str, Kind[Any, Any, Any]] = {kind.name: kind for kind in (EMBEDDING, CLASSIFIER, ACTION)}


def folders(home: Path) -> dict[str, Path]:
    """Bundle folders by name. One of the operator's own takes the place of a shipped one of the same name."""
    found = [*SHIPPED.glob("*/bundle.json"), *(home / "models").glob("*/bundle.json")]
    return {file.parent.name: file.parent for file in found}


def bundles(home: Path) -> dict[str, Bundle[Any, Any]]:
    """What can be used, by name. What is damaged, or of a kind unknown to this version, is left out and logged."""
    found = {}
    for name, folder in sorted(folders(home).items()):
        try:
            found[name] = _bundle(folder, (folder / "bundle.json").stat().st_mtime_ns)
        except (BundleError, OSError) as error:
            _LOG.warning("a bundle on disk cannot be used: %s", error)
    return found


@lru_cache(maxsize=256)
def _bundle(folder: Path, _written_ns: int) -> Bundle[Any, Any]:
    """Read once for each time it was written: its weights are hashed."""
    kind = bundle_kind(folder)
    if kind not in KINDS:
        raise BundleError(f"{folder}: expected a bundle of kind {' or '.join(KINDS)}, got {kind!r}")
    return read_bundle(folder, KINDS[kind])
