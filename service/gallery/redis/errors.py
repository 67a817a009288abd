"""What can be wrong between a service and its Redis."""

from service.gallery.errors import DamageError, HomeError, StoreError


class AwayError(StoreError):
    """Redis does not answer. Of a write that was under way it is not known whether it was kept."""


class LostError(DamageError):
    """Redis does not hold what it held: it was flushed, replaced, or went back in time."""


class TakenError(HomeError):
    """Another service is heard under this one's name."""
