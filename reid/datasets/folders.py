"""A folder per person: `PERSON/CAMERA_anything.jpg`, `PERSON/CAMERA/anything.jpg` or `PERSON/CAMERA/TRACKLET/….jpg`.

The camera is the folder below the person's, or what stands before the first `_` of the file's name. One more folder
names the tracklet. JPEG, PNG and WebP; names that begin with a dot are passed over, anything else is refused.
"""

from pathlib import Path

from reid.datasets.labelled import SUFFIXES, LabelledCrop, LabelledCrops, label_crops
from reid.errors import DatasetError


def read_folders(root: Path) -> LabelledCrops:
    """Read such a folder. Raises :class:`DatasetError` that names the file or folder which does not fit."""
    if not root.is_dir():
        raise DatasetError(f"expected a folder with a folder per person, got {root}, which is not a folder")
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and not _hidden(path.relative_to(root))]
    people = {path.name for path in root.iterdir() if path.is_dir() and not _hidden(path.relative_to(root))}
    crops = [_read_name(path, path.relative_to(root).parts) for path in files]
    if empty := people - {crop.person for crop in crops}:
        raise DatasetError(f"{root / min(empty)}: expected crops of a person, got an empty folder")
    return label_crops(root, crops)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _read_name(path: Path, parts: tuple[str, ...]) -> LabelledCrop:
    if path.suffix.lower() not in SUFFIXES:
        raise DatasetError(f"{path}: expected an image ({', '.join(SUFFIXES)})")
    match parts:
        case (person, name) if "_" in name:
            camera = name.partition("_")[0]
            if camera in ("", person):  # such as Market-1501's own names, which begin with the person
                raise DatasetError(f"{path}: expected the camera before the first `_`, got {camera!r}")
            return LabelledCrop(path, person, camera)
        case (person, camera, _):
            return LabelledCrop(path, person, camera)
        case (person, camera, tracklet, _):
            return LabelledCrop(path, person, camera, tracklet)
        case _:
            raise DatasetError(
                f"{path}: expected PERSON/CAMERA_name, PERSON/CAMERA/name or PERSON/CAMERA/TRACKLET/name"
            )
