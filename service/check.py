"""What is wrong with a deployment, found without serving."""

from collections.abc import Callable

from reid.errors import ReidError
from reid.predictors import Embedder
from service.gallery.home import Home
from service.gallery.sqlite.keys import list_keys, open_keys
from service.settings import Settings


def faults(settings: Settings) -> list[str]:
    """One line for each thing that would keep the service from serving, or from serving anyone."""
    found = []
    for check in (_check_bundle, _check_home, _check_keys):
        found += _fault_of(check, settings)
    return found


def _fault_of(check: Callable[[Settings], None], settings: Settings) -> list[str]:
    try:
        check(settings)
    except (ReidError, ValueError) as error:
        return [str(error)]
    return []


def _check_bundle(settings: Settings) -> None:
    Embedder.load(settings.bundle, settings.device)


def _check_home(settings: Settings) -> None:
    Home(settings.home).close()


def _check_keys(settings: Settings) -> None:
    if settings.auth == "off":
        return
    with open_keys(settings.store_path) as connection:
        if all(key.revoked_at is not None for key in list_keys(connection)):
            raise ValueError("expected an API key in force, got none: reid-service keys create --scope read")
