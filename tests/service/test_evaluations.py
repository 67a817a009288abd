"""Evaluations of the live gallery, their reports, and the calibration that comes of them."""

import numpy as np
import pytest

from reid.evaluation.labels import Exclude, PeopleLabels
from reid.evaluation.reranking import rerank
from reid.evaluation.retrieval import evaluate_retrieval
from service.gallery.sqlite.jobs import OPEN, find_job
from service.settings import Settings
from tests.service.conftest import serving
from tests.service.gallery.conftest import wait_until

PEOPLE = 12


@pytest.fixture
def labelled(service):
    """Twelve people on two cameras, four crops each, and a few unknown ones; sighting ids by seed."""
    made = {}
    for person in range(PEOPLE):
        for camera in range(2):
            seeds = [100 * person + 10 * camera + number for number in range(2)]
            answer = service.enrol(
                *seeds, person_id=f"person {person}", camera_id=f"c{camera}", tracklet_id=f"t{person}-{camera}"
            )
            made |= dict(zip(seeds, answer["sightings"], strict=True))
    service.enrol(9001, 9002, camera_id="c0")
    return {seed: sighting["sighting_id"] for seed, sighting in made.items()}


def state_of(service, job_id) -> str:
    """Asked of the store: asking over HTTP all the time would take the job's processor."""
    with service.core.gallery.store.reading() as reading:
        return find_job(reading, job_id).state


def evaluated(service, headers=None, expect="done", **body) -> dict:
    answer = service.client.post("/v1/evaluations", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["job_id"]
    wait_until(lambda: state_of(service, job_id) not in OPEN)
    job = service.get(f"/v1/jobs/{job_id}", headers=headers)
    assert job["state"] == expect, job["reason"]
    return job


@pytest.mark.parametrize("rule", ["same-camera", "same-tracklet"])
def test_the_figures_are_those_of_the_metrics_themselves(service, labelled, rule):
    job = evaluated(service, exclude=rule, domain="two cameras")
    result = job["result"]
    embedder = service.core.model.embedder
    seeds = [*labelled, 9001, 9002]
    with service.core.gallery.store.reading() as reading:
        _, vectors = reading.vectors(np.arange(1, len(seeds) + 1), embedder.bundle_id, embedder.dimension)
    unit = vectors.astype(np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    known = len(labelled)
    pids = np.array([1 + seed // 100 for seed in labelled] + [0, 0])
    camids = np.array([seed // 10 % 10 for seed in labelled] + [0, 0])
    labels = PeopleLabels(pids, camids, pids * 2 + camids)
    expected = evaluate_retrieval(unit[:known], unit, labels[:known], labels, exclude=Exclude(rule))
    for name, value in {
        "rank_1": expected.rank(1),
        "rank_5": expected.rank(5),
        "rank_10": expected.rank(10),
        "mean_ap": expected.mean_ap,
    }.items():
        assert result[name] == pytest.approx(value), name
    assert (result["num_queries"], result["num_gallery"], result["num_people"]) == (known, known + 2, PEOPLE)
    assert (result["num_distractors"], result["domain"], result["change"]) == (2, "two cameras", 2 * PEOPLE + 1)
    assert "person and camera dropped" in result["protocol"] or "tracklet dropped" in result["protocol"]
    assert job["progress"] == 1


def test_chosen_sightings_ask_within_a_filter(service, labelled):
    chosen = [labelled[seed] for seed in (0, 100, 200)]
    result = evaluated(service, queries=chosen, filter={"not_persons": ["person 11"]})["result"]
    assert (result["num_queries"], result["num_gallery"]) == (3, 4 * (PEOPLE - 1) + 2)
    assert evaluated(service, max_queries=7)["result"]["num_queries"] == 7
    unknown = service.get("/v1/sightings", camera_id="c0", limit=1000)["sightings"][-1]["sighting_id"]
    assert "of nobody" in evaluated(service, expect="failed", queries=[unknown])["reason"]
    assert "got 'nothing'" in evaluated(service, expect="failed", queries=["nothing"])["reason"]
    one_camera = evaluated(service, expect="failed", filter={"cameras": ["c0"]})
    assert "true match on another camera" in one_camera["reason"]


def test_the_report_is_one_page_that_fetches_nothing(service, labelled):
    path = f"/v1/evaluations/{evaluated(service, pictures=True)['job_id']}/report"
    page = service.client.get(path)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert page.headers["cache-control"] == "private, no-store"
    assert "http" not in page.text.replace("http://www.w3.org", "")
    assert page.text.count("data:image/jpeg") > 10
    numbers = service.get(path, format="json")
    assert numbers["rank_1"] == pytest.approx(numbers["cmc"][0])
    assert len(numbers["hardest_queries"]) == 10
    plain = service.client.get(f"/v1/evaluations/{evaluated(service)['job_id']}/report")
    assert "data:image/jpeg" not in plain.text


def test_report_and_figures_go_with_a_person_and_nothing_of_them_stays_on_the_disk(service, labelled):
    job = evaluated(service, pictures=True)
    service.client.delete("/v1/persons/person 3").raise_for_status()
    assert service.get(f"/v1/jobs/{job['job_id']}")["state"] == "erased"
    assert service.get(f"/v1/jobs/{job['job_id']}")["result"] is None
    service.get(f"/v1/evaluations/{job['job_id']}/report", expect=404)
    home = service.core.settings.home
    gone = [labelled[seed].encode() for seed in (300, 301, 310, 311)] + [b"person 3<", b'"person 3"']
    for path in (path for path in home.rglob("*") if path.is_file()):
        assert not [name for name in gone if name in path.read_bytes()], path


def test_a_limited_key_evaluates_and_sees_its_own_cameras_only(service, labelled):
    key = service.key("read", cameras=frozenset(["c0"]))
    everything = evaluated(service)
    service.get(f"/v1/jobs/{everything['job_id']}", expect=404, headers=key)
    service.get(f"/v1/evaluations/{everything['job_id']}/report", expect=404, headers=key)
    assert service.client.delete(f"/v1/jobs/{everything['job_id']}", headers=key).status_code == 404
    own = evaluated(service, headers=key, expect="failed")
    assert "on another camera" in own["reason"]
    assert [job["job_id"] for job in service.get("/v1/jobs", headers=key)["jobs"]] == [own["job_id"]]


def test_a_measured_calibration_wins_until_it_is_reset(service, labelled, monkeypatch):
    monkeypatch.setattr("reid.evaluation.camera_calibration.MIN_IMPOSTOR_PAIRS", 100)
    job = evaluated(service, domain="my gate")
    assert job["result"]["calibration"]["camera_pairs"] == [["c0", "c1"]]
    before = service.get("/v1/calibration")
    assert (before["source"], before["set_at"], before["camera_pairs"]) == ("bundle", None, [])
    answer = service.client.put("/v1/calibration", json={"evaluation_id": job["job_id"]})
    assert answer.status_code == 200, answer.text
    mine = answer.json()
    assert (mine["domain"], mine["source"]) == ("my gate", "operator")
    assert service.get("/v1/calibration") == mine
    limited = service.key("read", cameras=frozenset(["c0"]))
    assert service.get("/v1/calibration", headers=limited)["camera_pairs"] == []
    found = service.search(queries=[{"sighting_id": labelled[0]}], top_k=100)
    assert found["calibration"] == {name: mine[name] for name in ("domain", "source", "bundle_id", "set_at")}
    pair = service.core.model.calibrations.current.table.pairs["c0", "c1"]
    overall = service.core.model.calibrations.current.table.overall
    matches = found["results"][0]["matches"]
    assert {match["camera_id"] for match in matches} == {"c0", "c1"}
    for match in matches:
        across = match["camera_id"] == "c1"
        assert match["calibrated_between"] == (["c0", "c1"] if across else None)
        table = pair if across else overall
        assert match["false_match_rate"] == pytest.approx(float(table.false_match_rate(match["score"])), rel=1e-4)
    reset = service.client.delete("/v1/calibration").json()
    assert reset == before
    assert [line["action"] for line in service.get("/v1/audit", limit=3)["audit"]] == [
        "reset calibration",
        "search",
        "set calibration",
    ]


def test_a_calibration_survives_a_restart_and_so_does_its_reset(tmp_path, embedder):
    settings = Settings(home=tmp_path / "home", auth="off")
    with serving(settings, embedder) as service:
        table = service.core.model.calibrations.current.table.to_json()
        mine = table | {"overall": table["overall"] | {"domain": "my gate"}}
        service.client.put("/v1/calibration", json={"calibration": mine}).raise_for_status()
        set_here = service.get("/v1/calibration")
    with serving(settings, embedder) as service:
        again = service.get("/v1/calibration")
        assert again == set_here
        assert (again["domain"], again["source"]) == ("my gate", "operator")
        service.client.delete("/v1/calibration").raise_for_status()
    with serving(settings, embedder) as service:
        assert service.get("/v1/calibration")["source"] == "bundle"


def test_a_rate_is_kept_between_every_two_cameras(service, labelled, monkeypatch):
    monkeypatch.setattr("reid.evaluation.camera_calibration.MIN_IMPOSTOR_PAIRS", 100)
    job = evaluated(service)
    service.client.put("/v1/calibration", json={"evaluation_id": job["job_id"]}).raise_for_status()
    pair = service.core.model.calibrations.current.table.pairs["c0", "c1"]
    overall = service.core.model.calibrations.current.table.overall
    every = service.search(queries=[{"sighting_id": labelled[0]}], top_k=100)["results"][0]["matches"]
    for rate in (pair.false_match_rates[-1], 0.1, 0.5):  # the least that this machine's arithmetic measures
        expected = [
            match["sighting_id"]
            for match in every
            if match["score"] >= (pair if match["camera_id"] == "c1" else overall).score_at(rate) - 1e-9
        ]
        for top_k in (1, 3, 100):
            (result,) = service.search(queries=[{"sighting_id": labelled[0]}], top_k=top_k, max_false_match_rate=rate)[
                "results"
            ]
            assert [match["sighting_id"] for match in result["matches"]] == expected[:top_k]
            assert all(match["false_match_rate"] <= rate * 1.001 for match in result["matches"])


def test_a_calibration_of_another_bundle_or_shape_is_refused(service, labelled):
    good = service.core.model.calibrations.current.table.to_json()
    other = service.client.put("/v1/calibration", json={"calibration": good | {"bundle_id": "f" * 64}})
    assert (other.status_code, other.json()["code"]) == (422, "calibration")
    for wrong in ({}, {"format": 1}, good | {"format": 2}, good | {"pairs": [{"cameras": 3}]}, good | {"overall": []}):
        answer = service.client.put("/v1/calibration", json={"calibration": wrong})
        assert (answer.status_code, answer.json()["code"]) == (422, "calibration"), wrong
    for body in ({}, {"evaluation_id": "x", "calibration": good}):
        assert service.client.put("/v1/calibration", json=body).status_code == 422
    assert service.client.put("/v1/calibration", json={"evaluation_id": "x"}).status_code == 404
    assert service.client.put("/v1/calibration", json={"calibration": good}).json()["source"] == "operator"


def test_reranked_matches_keep_their_cosines_and_take_another_order(service, labelled):
    query = {"queries": [{"sighting_id": labelled[0]}], "top_k": 20}
    (plain,) = service.search(**query)["results"]
    (reranked,) = service.search(**query, rerank=True)["results"]
    scores = {match["sighting_id"]: match["score"] for match in plain["matches"]}
    assert (plain["reranked"], reranked["reranked"], reranked["searched"]) == (False, True, plain["searched"])
    assert all(scores.get(m["sighting_id"], m["score"]) == m["score"] for m in reranked["matches"])
    assert [m["score"] for m in reranked["matches"]] != sorted((m["score"] for m in reranked["matches"]), reverse=True)
    (every,) = service.search(**query | {"top_k": 100})["results"]
    with service.core.gallery.store.reading() as reading:
        rows = [reading.sighting(name).row for name in (labelled[0], *(m["sighting_id"] for m in every["matches"]))]
        order = {row: place for place, row in enumerate(sorted(rows))}
        embedder = service.core.model.embedder
        vectors = reading.vectors(np.array(sorted(rows)), embedder.bundle_id, embedder.dimension)[1].astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    gallery = [name for _, name in sorted(zip(rows[1:], (m["sighting_id"] for m in every["matches"]), strict=True))]
    others = [order[row] for row in sorted(rows[1:])]
    (distances,) = rerank(vectors[[order[rows[0]]]], vectors[others])
    expected = [gallery[place] for place in np.argsort(distances, kind="stable")[:20]]
    assert [m["sighting_id"] for m in reranked["matches"]] == expected
    (grouped,) = service.search(**query, rerank=True, group_by="person")["results"]
    named = [match["person_id"] for match in grouped["matches"] if match["person_id"]]
    assert len(named) == len(set(named)) == PEOPLE
    (alone,) = service.search(**query | {"top_k": 1}, rerank=True)["results"]
    assert alone["matches"][0] == reranked["matches"][0]
    (nobody,) = service.search(**query, rerank=True, filter={"cameras": ["nowhere"]})["results"]
    assert nobody["matches"] == []
