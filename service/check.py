"""What is wrong with a deployment, found without serving and without making anything."""

import os
from collections.abc import Callable

from reid.errors import ReidError
from service.bundles import folder_to_serve
from service.gallery.errors import HomeError
from service.gallery.home import is_held
from service.gallery.sqlite.keys import list_keys
from service.gallery.sqlite.reading import Reading
from service.gallery.stores import check_store, look_into
from service.models import load_embedders
from service.settings import Settings


def faults(settings: Settings) -> list[str]:
    """One line for each thing that would keep the service from serving, or from serving anyone."""
    found: list[str] = []
    for check in (_check_store, _check_bundle, _check_home, _check_keys):
        found += _fault_of(check, settings)
    return list(dict.fromkeys(found))


def notes(settings: Settings) -> list[str]:
    """What is worth knowing and not wrong."""
    return ["REID_HOME is in use: a service runs on it"] if is_held(settings.home) else []


def _fault_of(check: Callable[[Settings], None], settings: Settings) -> list[str]:
    try:
        check(settings)
    except (ReidError, ValueError) as error:
        return [str(error)]
    return []


def _check_store(settings: Settings) -> None:
    check_store(settings.store_address)


def _check_bundle(settings: Settings) -> None:
    embedder, *_ = load_embedders(folder_to_serve(settings), settings)
    with look_into(settings.store_address, "bundles", "activations") as connection:
        if connection is not None:
            missing, total = Reading(connection).sightings_without_vector(embedder.bundle_id)
            if missing:
                raise ValueError(f"{missing} of {total} sightings have no vector of this bundle: no search finds them")


def _check_home(settings: Settings) -> None:
    nearest = next(folder for folder in (settings.home, *settings.home.parents) if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise HomeError(f"expected a REID_HOME that can be written, got {settings.home}")


def _check_keys(settings: Settings) -> None:
    if settings.auth == "off":
        return
    with look_into(settings.store_address, "keys") as connection:
        kept = [] if connection is None else list_keys(connection)
    if all(key.is_revoked for key in kept):
        raise ValueError("expected an API key in force, got none: reid-service keys create --scope read")
