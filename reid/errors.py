"""What can be wrong with what a caller gave: one small family, named by what was wrong."""


class ReidError(Exception):
    """Base of every error that is the caller's to mend; the message says what was expected and what came."""


class ImageError(ReidError):
    """The bytes are an image of an accepted format, but its content cannot be used (damaged, too many pixels)."""


class ImageTooLargeError(ImageError):
    """More bytes than the limit."""


class ImageFormatError(ImageError):
    """Not one of the accepted formats."""


class BoxError(ReidError):
    """A box that does not lie inside its frame, or holds no pixels."""


class BundleError(ReidError):
    """A bundle folder that is incomplete, altered, or not what was asked for."""


class WeightsError(BundleError):
    """Weights that are not finite, or larger than half precision holds: a training that ended nowhere."""


class DatasetError(ReidError):
    """A dataset folder or table that does not hold what its kind promises."""


class RecipeError(ReidError):
    """A recipe that does not exist, or a field or value it does not take."""


class CheckpointError(ReidError):
    """A checkpoint that cannot be read or belongs to another recipe."""


class VectorError(ReidError):
    """A vector of the wrong length, not finite, or not of unit length."""


class ClipError(ReidError):
    """The bytes are a clip of an accepted container, but it cannot be used (damaged, no video, too long, too slow)."""


class ClipTooLargeError(ClipError):
    """More bytes than the limit."""


class ClipFormatError(ClipError):
    """Not one of the accepted containers or codecs."""


class DetectorError(ReidError):
    """A detector that does not exist, cannot be read, or has another form than expected."""


class SourceError(ReidError):
    """A video, folder or stream that cannot be read."""
