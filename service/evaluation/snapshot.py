"""The labelled sightings of one moment, as the metrics want them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.labels import DISTRACTOR_PID, PeopleLabels
from service.gallery.errors import NotFoundError
from service.gallery.filters import Filter
from service.gallery.gallery import Gallery
from service.gallery.records import Actor
from service.gallery.sqlite import activations
from service.gallery.sqlite.labels import labels_of
from service.problems import EvaluationError

NO_CAMERA = "(no camera)"
_SEED = 0


@dataclass(frozen=True)
class Snapshot:
    """Unit rows (N, D) float32 of one bundle, and what is known of each.

    Unknown people are distractors (pid 0). Sightings without a camera count as one camera's, and those of a person
    on a camera without a tracklet as one tracklet: finding them proves little, so they do not count as found.
    """

    bundle_id: str
    change: int
    vectors: NDArray[np.float32]
    labels: PeopleLabels
    sighting_ids: tuple[str, ...]
    person_names: dict[int, str]
    camera_names: dict[int, str]

    def queries(self, asked: Sequence[str] | None, most: int) -> NDArray[np.int64]:
        """The rows (Q,) that ask: those `asked` for, else all of people with at least 2 sightings.

        Of more than `most` a part is drawn, the same for the same sightings. Raises EvaluationError for none, or for
        one of nobody known, NotFoundError for one that is not there.
        """
        if asked is not None:
            rows = self._rows_of(asked)
        else:
            people, counts = np.unique(self.labels.pids, return_counts=True)
            several = people[(counts >= 2) & (people != DISTRACTOR_PID)]
            rows = np.flatnonzero(np.isin(self.labels.pids, several))
        if not len(rows):
            raise EvaluationError("expected people with at least 2 sightings each, got none")
        if len(rows) > most:
            rows = np.sort(np.random.default_rng(_SEED).choice(rows, most, replace=False))
        return rows

    def _rows_of(self, asked: Sequence[str]) -> NDArray[np.int64]:
        position = {sighting_id: row for row, sighting_id in enumerate(self.sighting_ids)}
        for sighting_id in asked:
            if sighting_id not in position:
                raise NotFoundError(
                    f"expected queries among the embedded sightings that the filter leaves, got {sighting_id!r}"
                )
            if self.labels.pids[position[sighting_id]] == DISTRACTOR_PID:
                raise EvaluationError(f"expected queries of known people, got {sighting_id!r} of nobody")
        return np.array(sorted({position[sighting_id] for sighting_id in asked}), np.int64)

    def counts(self, queries: NDArray[np.int64]) -> dict[str, int]:
        """Who cannot be found across cameras, and why, as a report names them."""
        people = np.unique(self.labels.pids[queries])
        theirs = self.labels[np.isin(self.labels.pids, people)]
        crops_of = np.unique(theirs.pids, return_counts=True)[1]
        seen_by = np.unique(np.stack([theirs.pids, theirs.camids]), axis=1)
        cameras_of = np.unique(seen_by[0], return_counts=True)[1]
        return {
            "num_people": len(people),
            "num_people_with_one_crop": int((crops_of == 1).sum()),
            "num_people_on_one_camera": int((cameras_of == 1).sum()),
            "num_cameras": len(self.camera_names),
            "num_distractors": int((self.labels.pids == DISTRACTOR_PID).sum()),
            "num_duplicate_files": 0,  # each sighting was enrolled on purpose
        }


def take_snapshot(gallery: Gallery, actor: Actor, wanted: Filter) -> Snapshot:
    """What `actor` may see and `wanted` lets through, if the active bundle embedded it.

    Raises EvaluationError where that is nothing.
    """
    with gallery.reading(actor) as reading:
        in_force = activations.current(reading)
        labels = {label.row: label for label in labels_of(reading, wanted)}
        rows, vectors = reading.vectors(np.array(list(labels), np.int64), in_force.bundle_id, in_force.dimension)
        change = reading.change()
    if not len(rows):
        raise EvaluationError("expected sightings that the active bundle embedded, got none")
    unit = vectors.astype(np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    kept = [labels[row] for row in rows.tolist()]
    people, pids = _numbered([label.person_id for label in kept])
    cameras, camids = _numbered([label.camera_id or NO_CAMERA for label in kept])
    tracklets = _numbered([label.tracklet_id for label in kept])[1]
    return Snapshot(
        bundle_id=in_force.bundle_id,
        change=change,
        vectors=unit,
        labels=PeopleLabels(pids, camids, tracklets),
        sighting_ids=tuple(label.sighting_id for label in kept),
        person_names=people,
        camera_names=cameras,
    )


def _numbered(names: Collection[str | None]) -> tuple[dict[int, str], NDArray[np.int64]]:
    """Numbers from 1 in the order of names, 0 for None; the names by number, and the number of each (N,)."""
    number = {name: place for place, name in enumerate(sorted({name for name in names if name is not None}), 1)}
    numbers = np.array([0 if name is None else number[name] for name in names], np.int64)
    return {place: name for name, place in number.items()}, numbers
