"""What can be wrong between a service and its Redis."""

from service.gallery.errors import DamageError, StoreError


class AwayError(StoreError):
    """Redis does not answer. Of a write that was under way it is not known whether it was kept."""


class LostError(DamageError):
    """Redis does not hold what it held: it was flushed, replaced, or went back in time."""


class UnknownEndError(StoreError):
    """Redis did not say whether it kept a write after that `version`: it may have, or may do so yet."""

    def __init__(self, message: str, version: int) -> None:
        super().__init__(message)
        self.version = version
