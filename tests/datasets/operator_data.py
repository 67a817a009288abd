"""Drawn people laid out as an operator would have them."""

import csv
from pathlib import Path

from reid.datasets.generated import generate_crops
from reid.images import encode_crop


def write_people(root: Path, layout: str, *, people: int = 4, cameras: int = 2, per_camera: int = 2) -> list[Path]:
    """Write crops to paths such as `layout` makes of person, camera and index, and return them."""
    paths = []
    for crop in generate_crops(people, cameras=cameras, per_camera=per_camera, size_hw=(64, 32)):
        path = root / layout.format(person=f"p{crop.pid}", camera=f"cam{crop.camid}", index=crop.index)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_crop(crop.image))
        paths.append(path)
    return paths


def write_table(file: Path, rows: list[dict[str, str]]) -> Path:
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file
