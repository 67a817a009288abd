"""Galleries broken on purpose: a crasher that does not notice each of them is worth nothing."""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from service.gallery import cleanup
from service.gallery.gallery import Gallery
from service.gallery.records import Written
from service.gallery.sqlite.writing import Writing
from tests.faults.crasher import Crasher
from tests.service.gallery.conftest import MEMORY

MOST_KILLS, SLOWEST_KILL_S = 20, 0.6  # long enough that each worker comes to delete and to erase


def acknowledges_before_it_commits(gallery: Gallery) -> None:
    store = gallery._store

    def commit(group: list[Any]) -> None:
        store._connection.execute("BEGIN IMMEDIATE")
        for item in group:
            store._run(item)
        for item in group:
            store._follow(item)
        time.sleep(0.02)
        store._connection.execute("COMMIT")

    store._commit = commit


def forgets_to_delete(gallery: Gallery) -> None:
    gallery.delete_sighting = lambda *_: Written(None, 0)


def enrols_twice(gallery: Gallery) -> None:
    enrol = gallery.enrol

    def twice(actor: Any, crops: Any, fields: Any, once: Any = None) -> Any:
        enrol(actor, crops, fields)
        return enrol(actor, crops, fields, once)

    gallery.enrol = twice


def leaves_the_crops_of_the_erased(gallery: Gallery) -> None:
    gallery._crops.remove = lambda _: set()


def leaves_the_names_of_the_erased(gallery: Gallery) -> None:
    cleanup.rewrite = lambda _: None
    gallery._store._connection.execute("PRAGMA secure_delete = OFF")


def switches_before_all_is_embedded(gallery: Gallery) -> None:
    gallery._embed_missing = lambda *_: None
    Writing.sightings_to_embed = lambda *_: []


def moves_nobody(gallery: Gallery) -> None:
    gallery.change_sighting = lambda *_: None


SABOTAGES = (
    acknowledges_before_it_commits,
    forgets_to_delete,
    enrols_twice,
    leaves_the_crops_of_the_erased,
    leaves_the_names_of_the_erased,
    switches_before_all_is_embedded,
    moves_nobody,
)


def main() -> int:
    """0 if the crasher notices every one of them."""
    unnoticed = []
    for sabotage in SABOTAGES:
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            crasher = Crasher(Path(folder), 0, sabotage, SLOWEST_KILL_S)
            for number in range(MOST_KILLS):
                crasher.round(number)
                if crasher.faults:
                    break
        print(sabotage.__name__, crasher.counts["kills"], *crasher.faults[:1])
        if not crasher.faults:
            unnoticed.append(sabotage.__name__)
    print("unnoticed:", unnoticed)
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
