import json

import pytest

from reid.evaluation.calibration import calibrate
from reid.evaluation.camera_calibration import MIN_IMPOSTOR_PAIRS, CameraCalibration, calibrate_cameras
from reid.evaluation.score_histogram import score_histograms
from tests.evaluation.people import crowd

NAMES = {1: "yard", 2: "door", 3: "gate"}


def measured() -> CameraCalibration:
    rows, people = crowd(9, 400, people=40, cameras=3)
    rows, people = rows[:310], people[:310]  # the gate sees fewer
    histograms = score_histograms(rows, rows, people, people)
    return calibrate_cameras(histograms, NAMES, bundle_id="id", domain="our cameras")


def test_a_pair_of_cameras_has_its_own_table() -> None:
    table = measured()
    rows, people = crowd(9, 400, people=40, cameras=3)
    yard, door = (people.camids[:310] == camid for camid in (1, 2))
    rows, people = rows[:310], people[:310]
    alone = calibrate(rows[yard], rows[door], people[yard], people[door], domain="alone")
    pair = table.between("yard", "door")
    # Both directions were counted, and every pair of crops has the same score in both.
    assert pair.num_impostor_pairs == 2 * alone.num_impostor_pairs > MIN_IMPOSTOR_PAIRS
    shared = sorted(set(pair.scores) & set(alone.scores))  # the tables keep other rows, for their counts differ
    assert len(shared) > 10
    assert pair.false_match_rate(shared) == pytest.approx(alone.false_match_rate(shared), rel=0.01)
    assert pair == table.between("door", "yard")
    assert pair.domain == "our cameras, cameras door and yard"


def test_a_camera_never_seen_with_the_other_gets_the_overall_table() -> None:
    table = measured()
    assert table.between("door", "cellar") == table.overall
    assert table.overall.domain == "our cameras"
    assert ("door", "door") not in table.pairs  # no pairs of the same person on one camera


def test_survives_json_exactly() -> None:
    table = measured()
    assert CameraCalibration.from_json(json.loads(json.dumps(table.to_json()))) == table


@pytest.mark.parametrize("field", ["format", "bundle_id", "overall", "pairs"])
def test_a_field_that_is_missing_is_refused(field: str) -> None:
    raw = measured().to_json()
    del raw[field]
    with pytest.raises(ValueError, match="expected a calibration of format 1 with"):
        CameraCalibration.from_json(raw)


def test_an_unknown_field_inside_is_refused() -> None:
    raw = measured().to_json()
    raw["overall"]["colour"] = "red"
    with pytest.raises(ValueError, match="expected a calibration's fields, got TypeError"):
        CameraCalibration.from_json(raw)


def test_a_pair_has_one_order() -> None:
    overall = measured().overall
    with pytest.raises(ValueError, match=r"lesser name first, got \('yard', 'door'\)"):
        CameraCalibration("id", overall, {("yard", "door"): overall})
