"""POST /v1/search: every way to ask, and the figures in the answer."""

import base64
import json

import pytest

from tests.service.conftest import crop


def base64_crop(seed: int) -> str:
    return base64.b64encode(crop(seed)).decode()


@pytest.fixture
def people(service):
    """Three people on two cameras, two unknown sightings: seeds 0 to 7; answers by seed."""
    who = ["ada", "ada", "bob", "bob", "cy", "cy", None, None]
    made = {}
    for seed, person_id in enumerate(who):
        fields = {"camera_id": f"c{seed % 2}", "tracklet_id": f"t{seed // 2}"}
        if person_id is not None:
            fields["person_id"] = person_id
        made[seed] = service.enrol(seed, **fields)["sightings"][0]
    return made


def ids(result) -> list[str]:
    return [match["sighting_id"] for match in result["matches"]]


def test_the_answer_has_every_field_that_was_promised(service, people):
    answer = service.search(queries=[{"images": [base64_crop(0)]}], top_k=3)
    assert answer["change"] == 8
    assert answer["calibration"]["domain"] == "random vectors"
    (result,) = answer["results"]
    assert (result["searched"], result["approximate"], len(result["matches"])) == (8, False, 3)
    best = result["matches"][0]
    assert best.keys() == {
        *("sighting_id", "person_id", "score", "false_match_rate", "calibrated_between", "camera_id"),
        *("captured_at", "tracklet_id", "attributes", "bundle_id"),
    }
    assert (best["sighting_id"], best["person_id"]) == (people[0]["sighting_id"], "ada")
    lowest = result["matches"][-1]
    calibration = service.core.model.calibrations.current.table.overall
    assert lowest["false_match_rate"] == pytest.approx(float(calibration.false_match_rate(lowest["score"])))
    assert result["expected_false_matches"] == pytest.approx(8 * lowest["false_match_rate"])
    assert [m["score"] for m in result["matches"]] == sorted((m["score"] for m in result["matches"]), reverse=True)


def test_several_files_are_one_query(service, people):
    files = [("file", (f"{seed}", crop(seed))) for seed in (0, 1)]
    answer = service.client.post("/v1/search", files=files, data={"query": json.dumps({"top_k": 8})}).json()
    same = service.search(queries=[{"images": [base64_crop(0), base64_crop(1)], "top_k": 8}])
    assert len(answer["results"]) == 1
    assert ids(answer["results"][0]) == ids(same["results"][0])


def test_a_batch_is_answered_in_order_and_shared_terms_give_way_to_a_querys_own(service, people):
    sources = [{"sighting_id": people[0]["sighting_id"]}, {"person_id": "bob"}, {"tracklet_id": "t2", "top_k": 2}]
    answer = service.search(queries=sources, top_k=8, filter={"cameras": ["c0"]})
    first, second, third = answer["results"]
    assert (first["searched"], second["searched"], third["searched"]) == (3, 3, 3)
    assert people[0]["sighting_id"] not in ids(first)
    assert "bob" not in {match["person_id"] for match in second["matches"]}
    assert len(third["matches"]) == 2


def test_filters_hold_before_top_k(service, people):
    answer = service.search(
        queries=[{"images": [base64_crop(0)]}],
        top_k=1,
        filter={"not_cameras": ["c0"], "not_persons": ["ada"], "exclude_tracklets": ["t1"]},
    )
    (result,) = answer["results"]
    assert result["searched"] == 2
    assert ids(result)[0] in {people[5]["sighting_id"], people[7]["sighting_id"]}


def test_grouped_by_person_each_is_named_once(service, people):
    (result,) = service.search(queries=[{"images": [base64_crop(0)]}], top_k=8, group_by="person")["results"]
    named = [match["person_id"] for match in result["matches"]]
    assert sorted(named, key=str) == [None, None, "ada", "bob", "cy"]


def test_thresholds_cut_by_score_or_by_rate(service, people):
    query = {"images": [base64_crop(0)]}
    scores = [m["score"] for m in service.search(queries=[query], top_k=8)["results"][0]["matches"]]
    cut = (scores[0] + scores[1]) / 2
    assert len(service.search(queries=[query], min_score=cut)["results"][0]["matches"]) == 1
    (result,) = service.search(queries=[query], max_false_match_rate=0.01)["results"]
    assert all(match["false_match_rate"] <= 0.01 * 1.001 for match in result["matches"])
    (nobody,) = service.search(queries=[{"vector": [-1.0] + [0.0] * 31}], min_score=1.0)["results"]
    assert nobody["matches"] == []
    assert nobody["expected_false_matches"] is None


def test_an_answer_is_never_older_than_was_asked_for(service, people):
    query = {"person_id": "ada"}
    fresh = service.client.post("/v1/search", params={"min_change": 8}, json={"queries": [query]})
    assert fresh.json()["change"] == 8
    later = service.client.post("/v1/search", params={"min_change": 9}, json={"queries": [query]})
    assert (later.status_code, later.json()["code"]) == (503, "change_not_reached")


def test_a_query_can_leave_out_its_own_camera_and_tracklet(service, people):
    query = {"sighting_id": people[0]["sighting_id"]}
    (result,) = service.search(queries=[query], top_k=8, filter={"exclude_same_camera": True})["results"]
    assert sorted(ids(result)) == sorted(people[seed]["sighting_id"] for seed in (1, 3, 5, 7))
    (result,) = service.search(queries=[query], top_k=8, filter={"exclude_own_tracklet": True})["results"]
    assert people[1]["sighting_id"] not in ids(result)
    assert result["searched"] == 6
    both = {"exclude_same_camera": True, "exclude_own_tracklet": True, "not_cameras": ["nowhere"]}
    (result,) = service.search(queries=[{"tracklet_id": "t0"}], top_k=8, filter=both)["results"]
    assert result["searched"] == 0
    for source in ({"images": [base64_crop(0)]}, {"person_id": "ada"}):
        assert service.search(expect=422, queries=[source], filter=both)["code"] == "filter"


def test_the_pixels_of_all_queries_are_limited_together_before_any_is_decoded(service, monkeypatch):
    monkeypatch.setattr("service.crops.MOST_PIXELS", 64 * 32 * 2)
    monkeypatch.setattr("service.crops.decode_image", None)
    queries = [{"images": [base64_crop(seed)]} for seed in range(3)]
    assert (
        "expected at most 4096 pixels in one request, got 6144" in service.search(expect=422, queries=queries)["detail"]
    )


WRONG_QUERIES = {
    "no body": {},
    "no queries": {"queries": []},
    "min_change, which goes in the URL": {"queries": [{"person_id": "ada"}], "min_change": 0},
    "too many queries": {"queries": [{"person_id": "ada"}] * 65},
    "no source": {"queries": [{}]},
    "two sources": {"queries": [{"person_id": "ada", "tracklet_id": "t"}]},
    "unknown field": {"queries": [{"person_id": "ada"}], "topk": 3},
    "unknown key of the filter": {"queries": [{"person_id": "ada"}], "filter": {"camera": ["c"]}},
    "a filter that is no object": {"queries": [{"person_id": "ada"}], "filter": []},
    "a range that holds nothing": {
        "queries": [{"person_id": "ada"}],
        "filter": {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
    },
    "top_k of 0": {"queries": [{"person_id": "ada"}], "top_k": 0},
    "top_k too large": {"queries": [{"person_id": "ada"}], "top_k": 10**30},
    "both thresholds": {"queries": [{"person_id": "ada"}], "min_score": 0.1, "max_false_match_rate": 0.1},
    "a rate that was never measured": {"queries": [{"person_id": "ada"}], "max_false_match_rate": 1e-12},
    "a vector too short": {"queries": [{"vector": [1.0]}]},
    "a vector of another length": {"queries": [{"vector": [1.0] * 32}]},
    "a vector of nothing": {"queries": [{"vector": [0.0] * 32}]},
    "a vector of huge numbers": {"queries": [{"vector": [1e308] * 32}]},
    "not base64": {"queries": [{"images": ["%%%"]}]},
    "half a character": {"queries": [{"sighting_id": "\ud800"}]},
    "a list": [],
}


@pytest.mark.parametrize("body", WRONG_QUERIES.values(), ids=WRONG_QUERIES)
def test_a_wrong_query_is_a_422(shared_service, body):
    answer = shared_service.client.post(
        "/v1/search", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_nobody_is_searched_for_without_a_line_in_the_audit(service, people):
    service.search(queries=[{"person_id": "ada"}])
    line = service.get("/v1/audit", limit=1)["audit"][0]
    assert (line["action"], line["person_id"], line["count"], line["change"]) == ("search", "ada", 1, None)
    service.client.delete("/v1/persons/ada")
    lines = service.get("/v1/audit")["audit"]
    assert len(lines) == 10
    assert "ada" not in {line["person_id"] for line in lines}


def test_embeddings_are_those_of_the_bundle_itself(service):
    answer = service.client.post("/v1/embeddings", json={"images": [base64_crop(1)]}).json()
    embedder = service.core.model.embedder
    assert answer["embeddings"][0] == pytest.approx(embedder.embed([crop(1)])[0].tolist(), abs=1e-6)
    assert (answer["dimension"], answer["bundle_id"]) == (32, embedder.bundle_id)


def test_the_bundle_and_its_calibration_are_shown(service, people):
    model, *others = service.get("/v1/models")["models"]
    assert not any(other["active"] for other in others)
    assert (model["name"], model["sightings"], model["active"]) == ("tiny", 8, True)
    calibration = service.get("/v1/calibration")
    assert len(calibration["scores"]) == len(calibration["false_match_rates"]) > 10


def test_attributes_are_set_whole_and_filter_before_top_k(service, people):
    path = f"/v1/sightings/{people[3]['sighting_id']}/attributes"
    answer = service.client.put(path, json={"attributes": {"sunglasses": "open", "hand": "4"}})
    assert answer.json()["attributes"] == {"sunglasses": "open", "hand": "4"}
    assert service.client.put(path, json={"attributes": {"sunglasses": "open"}}).status_code == 200
    query = {"queries": [{"images": [base64_crop(0)]}], "top_k": 1}
    (result,) = service.search(**query, filter={"attributes": {"sunglasses": "open"}})["results"]
    assert (ids(result), result["searched"]) == ([people[3]["sighting_id"]], 1)
    assert result["matches"][0]["attributes"] == {"sunglasses": "open"}
    for other in ({"sunglasses": "sunglasses"}, {"hand": "4"}):
        (result,) = service.search(**query, filter={"attributes": other})["results"]
        assert result["searched"] == 0
    for wrong in ({}, {"attributes": {"a": 1}}, {"attributes": {"": "x"}}, {"attributes": [], "more": 1}):
        assert service.client.put(path, json=wrong).status_code == 422
    assert service.client.put("/v1/sightings/nothing/attributes", json={"attributes": {}}).status_code == 404
