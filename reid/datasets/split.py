"""Crops to evaluate on: which of them ask, and which are searched."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid.datasets.crop import labels_of
from reid.datasets.folders import read_folders
from reid.datasets.labelled import LabelledCrops
from reid.datasets.market1501 import FOLDERS, Market1501, dataset_root, read_market1501
from reid.datasets.table import read_table
from reid.errors import DatasetError
from reid.evaluation.labels import DISTRACTOR_PID, Exclude, PeopleLabels


@dataclass(frozen=True)
class Split:
    """`labels` (N,) of N crops; `query` and `gallery` are row numbers into them, and may be of the same crops.

    `root` is the folder that paths are told from; `domain` names people, cameras and how the parts were chosen.
    """

    domain: str
    root: Path
    paths: tuple[Path, ...]
    labels: PeopleLabels
    query: NDArray[np.int64]
    gallery: NDArray[np.int64]
    person_names: Mapping[int, str]
    camera_names: Mapping[int, str]
    num_duplicate_files: int = 0

    @property
    def asks_itself(self) -> bool:
        """Whether the crops that ask are searched as well."""
        return bool(np.isin(self.query, self.gallery).any())

    def of_first_people(self, people: int) -> "Split":
        """The query and gallery crops of the first `people` by pid, and no others, said in the domain; 0: the whole.

        Raises :class:`DatasetError` where fewer people ask.
        """
        asking = np.unique(self.labels.pids[self.query])
        if not people:
            return self
        if people > len(asking):
            raise DatasetError(f"{self.domain}: expected at least {people} people who ask, got {len(asking)}")
        chosen = np.isin(self.labels.pids, asking[:people])
        query, gallery = self.query[chosen[self.query]], self.gallery[chosen[self.gallery]]
        kept = np.union1d(query, gallery)
        return dataclasses.replace(
            self,
            domain=f"{self.domain}, first {people} people alone",
            paths=tuple(self.paths[row] for row in kept),
            labels=self.labels[kept],
            query=np.searchsorted(kept, query),
            gallery=np.searchsorted(kept, gallery),
        )

    def name_of(self, row: int) -> str:
        """A crop's path below the root, as a report prints it."""
        path = self.paths[row]
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.as_posix()

    def counts(self) -> dict[str, int]:
        """What an operator should know of the people: who cannot be searched for across cameras, and why."""
        gallery = self.labels[self.gallery]
        every = self.labels[np.union1d(self.query, self.gallery)]
        people = np.unique(self.labels.pids[self.query])
        theirs = every[np.isin(every.pids, people)]
        crops_of = np.unique(theirs.pids, return_counts=True)[1]
        seen_by = np.unique(np.stack([theirs.pids, theirs.camids]), axis=1)
        cameras_of = np.unique(seen_by[0], return_counts=True)[1]
        return {
            "num_people": len(people),
            "num_people_with_one_crop": int((crops_of == 1).sum()),
            "num_people_on_one_camera": int((cameras_of == 1).sum()),
            "num_cameras": len(np.unique(every.camids)),
            "num_distractors": int((gallery.pids == DISTRACTOR_PID).sum()),
            "num_junk": int((~gallery.without_junk()).sum()),
            "num_duplicate_files": self.num_duplicate_files,
        }


def read_split(data: Path) -> Split:
    """Read Market-1501 (or a folder in its layout), a folder per person, or a `.csv` table; images are not opened.

    Raises :class:`DatasetError` that names what does not fit.
    """
    if is_market1501(data):
        return split_of_market(read_market1501(data), dataset_root(data))
    return split_of_crops(read_labelled(data), labelled_name(data))


def is_market1501(data: Path) -> bool:
    """Whether this is a folder in Market-1501's layout, or one that holds it; it may still lack parts."""
    return any((folder / FOLDERS["train"]).is_dir() for folder in [data, *data.glob("Market-1501*")])


def read_labelled(data: Path) -> LabelledCrops:
    """Read a folder per person, or a `.csv` table. Raises :class:`DatasetError` that names what does not fit."""
    return read_table(data) if _is_table(data) else read_folders(data)


def labelled_name(data: Path) -> str:
    """What to call labelled data beside its figures: a folder's name, a table's without `.csv`."""
    return data.stem if _is_table(data) else data.resolve().name


def _is_table(data: Path) -> bool:
    return data.suffix.lower() == ".csv"


def split_of_market(dataset: Market1501, root: Path) -> Split:
    """Market-1501's own query and gallery parts."""
    crops = dataset.query + dataset.gallery
    labels = labels_of(crops)
    return Split(
        domain=f"{root.name}, query against gallery",
        root=root,
        paths=tuple(crop.path for crop in crops),
        labels=labels,
        query=np.arange(len(dataset.query)),
        gallery=np.arange(len(dataset.query), len(crops)),
        person_names={pid: f"{pid:04d}" for pid in np.unique(labels.pids).tolist()},
        camera_names={camid: str(camid) for camid in np.unique(labels.camids).tolist()},
    )


def split_of_crops(crops: LabelledCrops, name: str) -> Split:
    """Every crop of a person asks, one at a time, for that person among all crops."""
    asking = np.flatnonzero(crops.labels.pids > DISTRACTOR_PID)
    if not len(asking):
        raise DatasetError(f"{crops.root}: expected crops of people, got only junk and distractors")
    return Split(
        domain=f"{name}, every crop against the others",
        root=crops.root,
        paths=crops.paths,
        labels=crops.labels,
        query=asking,
        gallery=np.arange(len(crops.paths)),
        person_names=crops.person_names,
        camera_names=crops.camera_names,
        num_duplicate_files=crops.num_duplicate_files,
    )


def require_several_cameras(split: Split, exclude: Exclude) -> None:
    """Raise :class:`DatasetError` when the rule leaves nothing to find because there is one camera only."""
    camids = np.unique(split.labels.camids)
    if exclude is Exclude.SAME_CAMERA and len(camids) == 1:
        raise DatasetError(
            f"{split.domain}: expected crops of at least 2 cameras, got only {split.camera_names[int(camids[0])]!r}; "
            f"the rule {Exclude.SAME_TRACKLET.value!r} evaluates a single camera"
        )
