"""What `evaluate --report` writes."""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from reid.evaluation.cameras import evaluate_camera_pairs
from reid.evaluation.hardest import HardQuery, hardest_queries
from reid.evaluation.hygiene import examine
from reid.evaluation.report import Report, write_report
from reid.kinds import EmbeddingBundle
from trainer.evaluation import Evaluation
from trainer.pixels import read_crop

_PICTURE_WIDTH_PX, _PICTURE_HEIGHT_PX = 64, 128


def report_evaluation(folder: Path, evaluation: Evaluation, bundle: EmbeddingBundle, *, pictures: bool) -> None:
    """Write `report.html` and `report.json` to `folder`; with `pictures`, the crops of the hardest queries too."""
    split = evaluation.split
    gallery_rows = split.gallery[split.labels[split.gallery].without_junk()]
    kept = evaluation.gallery_labels.without_junk()
    gallery, gallery_labels = evaluation.gallery[kept], evaluation.gallery_labels[kept]
    parts = (evaluation.query, gallery, evaluation.query_labels, gallery_labels)
    exclude = evaluation.protocol.exclude
    hardest = hardest_queries(*parts, evaluation.result, exclude=exclude)
    cameras = evaluate_camera_pairs(*parts, exclude=exclude)
    names = [split.name_of(int(row)) for row in gallery_rows]
    report = Report(
        title=f"{bundle.name} on {split.domain}",
        bundle_id=bundle.id,
        domain=split.domain,
        protocol=evaluation.protocol.name(split),
        figures=evaluation.figures() | evaluation.more_figures(),
        result=evaluation.result,
        histogram=evaluation.histogram,
        camera_pairs={(split.camera_names[a], split.camera_names[b]): result for (a, b), result in cameras.items()},
        hardest=hardest,
        hygiene=examine(gallery, gallery_labels),
        query_names=_query_names(evaluation),
        gallery_names=names,
        person_names=split.person_names,
        pictures=dict(_pictures(evaluation, hardest, gallery_rows.tolist())) if pictures else {},
    )
    write_report(folder, report)


def _query_names(evaluation: Evaluation) -> list[str]:
    split, labels = evaluation.split, evaluation.query_labels
    if not evaluation.protocol.pooling:
        return [split.name_of(int(row)) for row in split.query]
    where = zip(labels.pids.tolist(), labels.camids.tolist(), strict=True)
    return [f"{split.person_names[pid]} on camera {split.camera_names[camid]}" for pid, camid in where]


def _pictures(
    evaluation: Evaluation, hardest: Iterable[HardQuery], gallery_rows: list[int]
) -> Iterator[tuple[str, bytes]]:
    """Small JPEGs by name of the queries and matches to show; a pooled query is shown by its first crop."""
    split, query_names = evaluation.split, _query_names(evaluation)
    for hard in hardest:
        labels = evaluation.query_labels
        pid, camid = labels.pids[hard.query_row], labels.camids[hard.query_row]
        asked = split.labels[split.query]
        first = int(split.query[np.flatnonzero((asked.pids == pid) & (asked.camids == camid))[0]])
        own = first if evaluation.protocol.pooling else int(split.query[hard.query_row])
        yield query_names[hard.query_row], _picture(split.paths[own])
        for row in hard.gallery_rows:
            yield split.name_of(gallery_rows[row]), _picture(split.paths[gallery_rows[row]])


def _picture(path: Path) -> bytes:
    buffer = io.BytesIO()
    small = read_crop(path).resize((_PICTURE_WIDTH_PX, _PICTURE_HEIGHT_PX), Image.Resampling.BILINEAR)
    small.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
