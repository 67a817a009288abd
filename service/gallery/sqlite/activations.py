"""The table of activations: which bundle's vectors are searched (the last one), and which were before."""

from service.gallery.errors import BundleChangedError
from service.gallery.records import Activation, Moment
from service.gallery.sqlite.reading import Reading
from service.gallery.sqlite.writing import Writing

_LAST_TWO = "SELECT bundle_id, dimension, at_us FROM activations JOIN bundles USING (bundle) ORDER BY row DESC LIMIT 2"


def find(reading: Reading) -> Activation | None:
    """What is in force; None before a gallery was ever opened."""
    found = reading.connection.execute(_LAST_TWO).fetchall()
    if not found:
        return None
    (bundle_id, dimension, at_us), *before = found
    return Activation(bundle_id, dimension, Moment(at_us), before[0][0] if before else None)


def current(reading: Reading) -> Activation:
    """What is in force in a gallery that is open."""
    activation = find(reading)
    assert activation is not None
    return activation


def check_current(reading: Reading, bundle_id: str) -> None:
    """Raise BundleChangedError unless that bundle is in force."""
    in_force = current(reading).bundle_id
    if bundle_id != in_force:
        raise BundleChangedError.of(in_force, bundle_id)


def begin_with(writing: Writing, bundle_id: str, dimension: int) -> None:
    """Put a bundle in force, if it is not; raises ConflictError if the vectors it left have another length."""
    bundle = writing.add_bundle(bundle_id, dimension)
    before = find(writing)
    if before is None or before.bundle_id != bundle_id:
        writing.connection.execute("INSERT INTO activations (bundle, at_us) VALUES (?, ?)", (bundle, Moment.now().us))
