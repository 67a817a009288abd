"""The bundles on disk that this service can use: those shipped, and those in REID_HOME/models."""

import logging
import shutil
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from reid.bundle import SHIPPED, Bundle, Kind, bundle_folder, bundle_kind, move_bundle, read_bundle
from reid.errors import BundleError
from reid.kinds import ACTION, CLASSIFIER, EMBEDDING
from service.gallery.stores import bundle_in_force
from service.settings import Settings

_LOG = logging.getLogger(__name__)
KINDS: Mapping[str, Kind[Any, Any, Any]] = {kind.name: kind for kind in (EMBEDDING, CLASSIFIER, ACTION)}


def folders(home: Path) -> dict[str, Path]:
    """Bundle folders by name. One of the operator's own takes the place of a shipped one of the same name."""
    found = [*SHIPPED.glob("*/bundle.json"), *(home / "models").glob("*/bundle.json")]
    return {file.parent.name: file.parent for file in found}


def bundles(home: Path) -> dict[str, Bundle[Any, Any]]:
    """What can be used, by name. What is damaged, or of a kind unknown to this version, is left out and logged."""
    return {name: bundle for name, folder in sorted(folders(home).items()) if (bundle := _usable(folder))}


def first_folder(settings: Settings) -> Path:
    """The bundle that a new gallery begins with: REID_BUNDLE, a name or a folder. Raises BundleError."""
    name = settings.bundle or "default"
    return folders(settings.home).get(name) or bundle_folder(name)


def embeddings(settings: Settings) -> dict[Path, Bundle[Any, Any]]:
    """The embedding bundles that can be used, by folder: those by name, and the one that REID_BUNDLE leads to."""
    found = {folder: _usable(folder) for folder in (*folders(settings.home).values(), first_folder(settings))}
    return {folder: bundle for folder, bundle in found.items() if bundle and bundle.kind == EMBEDDING.name}


def embedding_folder(settings: Settings, bundle_id: str) -> Path | None:
    """Where the embedding bundle of that id lies, if it is on disk."""
    return next((folder for folder, bundle in embeddings(settings).items() if bundle.id == bundle_id), None)


def folder_to_serve(settings: Settings) -> Path:
    """The embedding bundle to serve: the one in force in the gallery, in a new gallery :func:`first_folder`.

    Where the one in force is not on disk any more, REID_BUNDLE is served if it was set: no other stands in unasked.
    Raises BundleError, HomeError for a store that cannot be read.
    """
    first, in_force = first_folder(settings), bundle_in_force(settings.store_address)
    if in_force is None:
        return first
    folder = embedding_folder(settings, in_force)
    if folder is None and settings.bundle is None:
        raise BundleError(
            f"expected the bundle in force, {in_force}, on disk, got none: put it into"
            f" {settings.home / 'models'}, or set REID_BUNDLE to begin with another"
        )
    if folder is None:
        _LOG.warning("the bundle in force, %.12s…, is not on disk any more: REID_BUNDLE takes its place", in_force)
    return folder or first


def keep(folder: Path, bundle_id: str, home: Path) -> None:
    """Copy a shipped bundle that is put in force to `home`/models: an upgrade may ship another in its place."""
    kept = home / "models" / f"{folder.name}-{bundle_id[:12]}"
    if folder.parent != SHIPPED or kept.exists():
        return
    kept.parent.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home) as temporary:
        draft = Path(temporary) / kept.name
        draft.mkdir(mode=0o700)
        for file in folder.iterdir():
            shutil.copyfile(file, draft / file.name)
            (draft / file.name).chmod(0o600)
        move_bundle(draft, kept)


def _usable(folder: Path) -> Bundle[Any, Any] | None:
    try:
        return _bundle(folder, (folder / "bundle.json").stat().st_mtime_ns)
    except (BundleError, OSError) as error:
        _LOG.warning("a bundle on disk cannot be used: %s", error)
        return None


@lru_cache(maxsize=256)
def _bundle(folder: Path, _written_ns: int) -> Bundle[Any, Any]:
    """Read once for each time it was written: its weights are hashed."""
    kind = bundle_kind(folder)
    if kind not in KINDS:
        raise BundleError(f"{folder}: expected a bundle of kind {' or '.join(KINDS)}, got {kind!r}")
    return read_bundle(folder, KINDS[kind])
