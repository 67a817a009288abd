"""An evaluation as a job: snapshot, figures, calibration, report."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.bootstrap import mean_interval
from reid.evaluation.camera_calibration import CameraCalibration, calibrate_cameras
from reid.evaluation.cameras import evaluate_camera_pairs
from reid.evaluation.hardest import HardQuery, hardest_queries
from reid.evaluation.hygiene import Hygiene, examine
from reid.evaluation.labels import Exclude
from reid.evaluation.open_set import verification_roc
from reid.evaluation.report import Report
from reid.evaluation.report.files import MAX_BYTES
from reid.evaluation.report.page import html_page
from reid.evaluation.retrieval import RetrievalResult, evaluate_retrieval
from reid.evaluation.score_histogram import ScoreHistogram, score_histograms
from reid.images import decode_kept, encode_thumbnail
from service.evaluation.snapshot import Snapshot, take_snapshot
from service.gallery.gallery import Gallery
from service.gallery.records import Actor
from service.gallery.sqlite.jobs import JobFile, Outcome
from service.jobs import Handler, Task
from service.problems import EvaluationError
from service.schemas.evaluations import EvaluationIn

PAGE, NUMBERS, CALIBRATION = "report.html", "report.json", "calibration.json"
_MOST_EXAMINED = 20_000
_STEPS = 7
_DROPPED = {
    Exclude.SAME_CAMERA: "same person and camera dropped",
    Exclude.SAME_TRACKLET: "same person and tracklet dropped, other sightings of the same camera count",
}


def evaluation_of(gallery: Gallery) -> Handler:
    """What does evaluations of this gallery."""
    return partial(_evaluate, gallery)


def _evaluate(gallery: Gallery, task: Task) -> Outcome:
    asked = EvaluationIn.model_validate(task.request)
    exclude = Exclude(asked.exclude)
    snapshot = take_snapshot(gallery, task.actor, asked.filter.to_filter())
    task.step(1, _STEPS)
    queries = snapshot.queries(asked.queries, asked.max_queries)
    sides = (snapshot.vectors[queries], snapshot.vectors, snapshot.labels[queries], snapshot.labels)
    result = evaluate_retrieval(*sides, exclude=exclude)
    task.step(2, _STEPS)
    histograms = score_histograms(*sides, exclude=exclude)
    histogram = ScoreHistogram.total(histograms.values())
    calibration = calibrate_cameras(
        histograms, snapshot.camera_names, bundle_id=snapshot.bundle_id, domain=asked.domain
    )
    task.step(3, _STEPS)
    cameras = evaluate_camera_pairs(*sides, exclude=exclude)
    task.step(4, _STEPS)
    hardest = hardest_queries(*sides, result, exclude=exclude)
    hygiene = _examined(snapshot, queries)
    task.step(5, _STEPS)
    names, query_names = snapshot.sighting_ids, [snapshot.sighting_ids[row] for row in queries]
    shown = _shown(hardest, query_names, names)
    figures = _figures(snapshot, queries, result, histogram)
    report = Report(
        title=f"Bundle {snapshot.bundle_id[:12]} on {asked.domain}",
        bundle_id=snapshot.bundle_id,
        domain=asked.domain,
        protocol=_protocol(asked),
        figures=figures,
        result=result,
        histogram=histogram,
        camera_pairs={(snapshot.camera_names[a], snapshot.camera_names[b]): pair for (a, b), pair in cameras.items()},
        hardest=hardest,
        hygiene=hygiene,
        query_names=query_names,
        gallery_names=names,
        person_names=snapshot.person_names,
        pictures=_pictures(gallery, task.actor, shown) if asked.pictures else {},
    )
    task.step(6, _STEPS)
    result_json = figures | {
        "domain": asked.domain,
        "protocol": report.protocol,
        "bundle_id": snapshot.bundle_id,
        "change": snapshot.change,
        "calibration": _brief(calibration),
    }
    mentions = {*snapshot.person_names.values(), *shown, *_named_by(hygiene, names)}
    return Outcome(result_json, _files(report, calibration), frozenset(mentions))


def _protocol(asked: EvaluationIn) -> str:
    whose = "every sighting of people seen twice asks" if asked.queries is None else "chosen sightings ask"
    return f"{whose}, single query: {_DROPPED[Exclude(asked.exclude)]}, unknown people kept as distractors"


def _figures(
    snapshot: Snapshot, queries: NDArray[np.int64], result: RetrievalResult, histogram: ScoreHistogram
) -> dict[str, Any]:
    pids = snapshot.labels.pids[queries]
    rank_1, mean_ap = mean_interval(result.found_within(1), pids), mean_interval(result.ap_step, pids)
    return {
        "rank_1": result.rank(1),
        "rank_5": result.rank(5),
        "rank_10": result.rank(10),
        "mean_ap": result.mean_ap,
        "mean_ap_trapezoid": result.mean_ap_trapezoid,
        "mean_inp": result.mean_inp,
        "rank_1_interval": [rank_1.low, rank_1.high],
        "mean_ap_interval": [mean_ap.low, mean_ap.high],
        "equal_error_rate": verification_roc(histogram).equal_error_rate,
        "num_queries": result.num_queries,
        "num_valid_queries": result.num_valid_queries,
        "num_gallery": result.num_gallery,
        **snapshot.counts(queries),
    }


def _examined(snapshot: Snapshot, queries: NDArray[np.int64]) -> Hygiene:
    """The sightings of the people asked for; the latest of them, where there are very many."""
    rows = np.flatnonzero(np.isin(snapshot.labels.pids, snapshot.labels.pids[queries]))[-_MOST_EXAMINED:]
    found = examine(snapshot.vectors[rows], snapshot.labels[rows])
    return _renumbered(found, rows.tolist())


def _renumbered(found: Hygiene, rows: list[int]) -> Hygiene:
    return replace(
        found,
        outliers=tuple(replace(one, row=rows[one.row]) for one in found.outliers),
        near_duplicates=tuple(
            replace(pair, row=rows[pair.row], other_row=rows[pair.other_row]) for pair in found.near_duplicates
        ),
    )


def _shown(hardest: tuple[HardQuery, ...], query_names: list[str], names: tuple[str, ...]) -> set[str]:
    """The sightings that the report shows."""
    asked = {query_names[hard.query_row] for hard in hardest}
    return asked | {names[row] for hard in hardest for row in hard.gallery_rows}


def _named_by(hygiene: Hygiene, names: tuple[str, ...]) -> Iterator[str]:
    for outlier in hygiene.outliers:
        yield names[outlier.row]
    for pair in hygiene.near_duplicates:
        yield from (names[pair.row], names[pair.other_row])


def _pictures(gallery: Gallery, actor: Actor, shown: set[str]) -> dict[str, bytes]:
    return {name: encode_thumbnail(decode_kept(gallery.crop(actor, name))) for name in shown}


def _brief(calibration: CameraCalibration) -> dict[str, Any]:
    overall = calibration.overall
    return {
        "num_impostor_pairs": overall.num_impostor_pairs,
        "num_genuine_pairs": overall.num_genuine_pairs,
        "smallest_false_match_rate": overall.false_match_rates[-1],
        "camera_pairs": [list(names) for names in calibration.pairs],
    }


def _files(report: Report, calibration: CameraCalibration) -> tuple[JobFile, ...]:
    page = html_page(report).encode()
    if len(page) > MAX_BYTES:
        raise EvaluationError(f"expected a report of at most {MAX_BYTES:,} bytes, got {len(page):,}")
    return (
        JobFile(PAGE, "text/html; charset=utf-8", page),
        JobFile(NUMBERS, "application/json", json.dumps(report.to_json()).encode()),
        JobFile(CALIBRATION, "application/json", json.dumps(calibration.to_json()).encode()),
    )
