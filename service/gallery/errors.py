"""What a caller can ask of a gallery that it cannot do."""

from reid.errors import ReidError


class NotFoundError(ReidError):
    """No such person, sighting or tracklet, or none that this caller may see."""


class ConflictError(ReidError):
    """A name that is taken, or a record that is not in a state for this."""


class IdempotencyError(ReidError):
    """An idempotency key that was used for another request."""


class ErasedError(ReidError):
    """The answer that an idempotency key stood for was erased together with a person."""


class ChangeNotReachedError(ReidError):
    """A `min_change` that this gallery has not seen yet."""


class NotEmbeddedError(ReidError):
    """Sightings that have no vector of the active bundle to search with."""


class BundleChangedError(ReidError):
    """A vector of another bundle than the one in force, such as one made just before a switch: ask again."""

    @classmethod
    def of(cls, in_force: str, got: str) -> "BundleChangedError":
        """Both by the beginning of their ids."""
        return cls(f"expected vectors of the bundle in force, {in_force:.12}…, got those of {got:.12}…: ask again")


class FilterError(ReidError):
    """A filter or threshold that contradicts itself."""


class CursorError(ReidError):
    """A cursor that this service did not give out."""


class HomeError(ReidError):
    """REID_HOME cannot be used: held by another service, not writable, or written by a later version."""


class ArchiveError(ReidError):
    """A file to import that is not an archive of ours, or not whole."""


class ForbiddenError(ReidError):
    """Something that this caller's key does not allow."""


class StoreError(ReidError):
    """The disk or the database refused; of a write, nothing was kept."""


class IndexAwayError(StoreError):
    """The index does not answer: nothing can be searched, and all else goes on."""


class DamageError(StoreError):
    """The disk gives back something else than was kept."""
