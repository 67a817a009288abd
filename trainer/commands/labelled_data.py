"""Options of the commands that read labelled crops of any of the three kinds."""

from pathlib import Path
from typing import Annotated

import typer

from reid.evaluation.labels import Exclude

Data = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="REID_DATASETS",
        help="Market-1501 or a folder in its layout; a folder per person (`PERSON/CAMERA_name.jpg`, "
        "`PERSON/CAMERA/name.jpg` or `PERSON/CAMERA/TRACKLET/name.jpg`); or a CSV with `path`, `person`, `camera` "
        "and perhaps `time`. For a classifier: a folder per label, a CSV with `path`, `label` and perhaps `group`, or "
        "the CMU faces. For actions: a folder of clips per label, or the CSV that `validate` writes.",
    ),
]
ExcludeOption = Annotated[
    Exclude,
    typer.Option(
        "--exclude",
        help="What a ranking leaves out, of the query's own person: crops of the same camera, or only of the same "
        "tracklet (for a single camera).",
    ),
]
