"""A change of model: the kept crops embedded by another bundle, and then searched with its vectors alone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
from numpy.typing import NDArray

from reid.errors import VectorError
from service.gallery.errors import ConflictError, DamageError, NotEmbeddedError, NotFoundError
from service.gallery.ledger import Active, Effect, Ledger, stored_vectors
from service.gallery.records import Activation, Actor, Sighting, Written
from service.gallery.sqlite import activations
from service.gallery.sqlite.reading import Reading
from service.gallery.sqlite.writing import Writing
from service.gallery.store import nothing
from service.gallery.vectors import are_unit

Embed = Callable[[Sequence[bytes]], NDArray[np.float32]]  # JPEG bytes → (N, D) unit rows
Progress = Callable[[int, int], None]  # sightings that have a vector, of how many; may raise to stop
_EMBEDDED_AT_ONCE = 64  # crops: a transaction each


class Models(Ledger):
    """Which bundle a gallery is searched with. Sightings may have vectors of several; one index serves."""

    def activation(self) -> Activation:
        """The bundle in force, since when, and which was before."""
        with self._store.reading() as reading:
            return activations.current(reading)

    def activate(
        self,
        actor: Actor,
        bundle_id: str,
        dimension: int,
        embed: Embed,
        progress: Progress,
        check: Callable[[Reading], None] = lambda _: None,
    ) -> Written[Activation]:
        """Search with another bundle, once every sighting has a vector of it; until then, nothing changes.

        `embed` is that bundle's; it is given the crops that it has no vector of, some at a time. Those of before stay:
        to go back is to activate the bundle before, which embeds only what came since. What was embedded is kept
        whatever happens, so a change that was cut short is simply begun again.

        The switch is one transaction, in which `check` may still raise to prevent it. Crops and queries embedded just
        before get a BundleChangedError just after. Raises ForbiddenError for an actor limited to cameras, ConflictError
        while another change goes on or if the bundle left vectors of another length, VectorError if `embed` gives no
        unit vectors, DamageError for a crop that cannot be read, and whatever `progress` and `check` raise.
        """
        actor.check_unlimited("change the model")
        with self._preparing_alone():
            self._store.write(lambda writing: writing.add_bundle(bundle_id, dimension))
            if self._is_complete(bundle_id):
                return Written(self.activation(), self.change)
            prepared = self._new_index(bundle_id, dimension)
            while True:
                self._embed_missing(bundle_id, dimension, embed, progress)
                self._load_into(prepared)
                try:
                    return self._write(actor, "activate", partial(_switch, to=prepared, check=check))
                except NotEmbeddedError:  # of sightings that came meanwhile: once more
                    continue

    @contextmanager
    def _preparing_alone(self) -> Iterator[None]:
        """From here on the rows that go are collected: they may be in the new index by then."""
        if not self._changing_model.acquire(blocking=False):
            raise ConflictError("expected one change of model at a time, got another")
        try:
            self._preparing = []
            yield
        finally:
            self._preparing = None
            self._changing_model.release()

    def _is_complete(self, bundle_id: str) -> bool:
        with self._store.reading() as reading:
            in_force = activations.current(reading).bundle_id == bundle_id
            return in_force and not reading.sightings_to_embed(bundle_id, 0, 1)

    def _embed_missing(self, bundle_id: str, dimension: int, embed: Embed, progress: Progress) -> None:
        with self._store.reading() as reading:
            missing, total = reading.sightings_without_vector(bundle_id)
        done, last_row = total - missing, 0
        while True:
            progress(done, max(done, total))
            with self._store.reading() as reading:
                some = reading.sightings_to_embed(bundle_id, last_row, _EMBEDDED_AT_ONCE)
            if not some:
                return
            self._embed(some, bundle_id, dimension, embed)
            done, last_row = done + len(some), some[-1].row

    def _embed(self, sightings: Sequence[Sighting], bundle_id: str, dimension: int, embed: Embed) -> None:
        jpegs = {}
        for sighting in sightings:
            try:
                jpegs[sighting.row] = self.kept_crop(sighting)
            except NotFoundError as error:
                self._check_deleted(sighting, error)
        vectors = embed([*jpegs.values()]).astype(np.float16) if jpegs else np.empty((0, dimension), np.float16)
        if vectors.shape != (len(jpegs), dimension) or not are_unit(vectors).all():
            raise VectorError(f"expected {len(jpegs)} unit vectors of {dimension} numbers, got {vectors.shape}")

        def operation(writing: Writing) -> None:
            for row, vector in zip(jpegs, vectors, strict=True):
                writing.embed_again(row, bundle_id, vector)

        self._store.write(operation)

    def _check_deleted(self, sighting: Sighting, error: NotFoundError) -> None:
        self._store.write(nothing)  # where crops go with the commit, what is read here may lag behind it
        with self._store.reading() as reading:
            if reading.sightings_at([sighting.row]):
                raise DamageError(f"expected the crop of {sighting.sighting_id!r}, got none; delete it") from error

    def _load_into(self, prepared: Active) -> None:
        """Add what the bundle embedded so far, up to the first sighting that it did not: rows must rise."""
        with self._store.reading() as reading:
            lacking = reading.sightings_to_embed(prepared.bundle_id, prepared.index.last_id, 1)
            _catch_up(reading, prepared, lacking[0].row if lacking else None)


def _catch_up(reading: Reading, prepared: Active, before_row: int | None = None) -> None:
    index = prepared.index
    for rows, vectors in stored_vectors(reading, prepared.bundle_id, prepared.dimension, index.last_id):
        wanted = slice(None) if before_row is None else slice(np.searchsorted(rows, before_row))
        index.add(rows[wanted], vectors[wanted])
        if before_row is not None and rows[-1] >= before_row:
            return


def _switch(writing: Writing, to: Active, check: Callable[[Reading], None]) -> Effect[Activation]:
    check(writing)
    if writing.sightings_to_embed(to.bundle_id, to.index.last_id, 1):
        raise NotEmbeddedError("expected every sighting to have a vector of the new bundle, got one without")
    _catch_up(writing, to)
    activations.begin_with(writing, to.bundle_id, to.dimension)
    return Effect(activations.current(writing), activated=to)
