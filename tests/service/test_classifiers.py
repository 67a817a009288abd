"""Classifiers: found on disk, loaded when first asked for, and their labels kept as attributes."""

import base64

import numpy as np
import pytest

from reid.predictors import ImageClassifier
from service.classifiers import Classifiers
from service.decoding import Decoders
from service.metrics import Metrics
from service.problems import DeadlineError
from service.settings import Settings
from tests.service.conftest import crop

LABELS = ("open", "sunglasses")


def classify(service, expect=200, headers=None, name="glasses", **body):
    answer = service.client.post(f"/v1/classifiers/{name}", json=body, headers=headers)
    assert answer.status_code == expect, answer.text
    return answer.json()


def encoded(seed: int) -> str:
    return base64.b64encode(crop(seed)).decode()


def test_classifiers_are_listed_with_their_labels(service, glasses):
    found = {one["name"]: one for one in service.get("/v1/classifiers")["classifiers"]}
    assert found["glasses"]["labels"] == list(LABELS)
    model = next(one for one in service.get("/v1/models")["models"] if one["name"] == "glasses")
    assert (model["kind"], model["labels"], model["active"]) == ("classifier", list(LABELS), False)
    assert (model["bundle_id"], model["embedding_size"]) == (found["glasses"]["bundle_id"], None)


def test_scores_are_those_of_the_bundle_itself_in_both_forms(service, glasses):
    expected = ImageClassifier.load(glasses, "cpu")
    answer = classify(service, images=[encoded(1), encoded(2)])
    files = [("file", (str(seed), crop(seed))) for seed in (1, 2)]
    assert service.client.post("/v1/classifiers/glasses", files=files).json() == answer
    for seed, result in zip((1, 2), answer["results"], strict=True):
        own = expected.predict(crop(seed))
        assert [one["label"] for one in result["labels"]] == [one.label for one in own]
        assert [one["score"] for one in result["labels"]] == pytest.approx([one.score for one in own], abs=1e-3)
        assert np.sum([one["score"] for one in result["labels"]]) == pytest.approx(1)


def test_the_best_label_of_a_sighting_becomes_an_attribute_beside_the_others(service, glasses):
    sighting_id = service.enrol(1, camera_id="north")["sightings"][0]["sighting_id"]
    path = f"/v1/sightings/{sighting_id}"
    service.client.put(f"{path}/attributes", json={"attributes": {"hand": "4"}}).raise_for_status()
    best = classify(service, sighting_id=sighting_id)["results"][0]["labels"][0]["label"]
    assert service.get(path)["attributes"] == {"hand": "4", "glasses": best}
    query = {"queries": [{"images": [encoded(1)]}], "filter": {"attributes": {"glasses": best}}}
    assert service.search(**query)["results"][0]["searched"] == 1
    classify(service, sighting_id=sighting_id, images=[encoded(2)])


def test_what_a_classifier_cannot_answer_is_refused(service, glasses):
    sighting_id = service.enrol(1, camera_id="south")["sightings"][0]["sighting_id"]
    reader, north = service.key("read"), service.key("read", "enrol", cameras=frozenset(["north"]))
    assert classify(service, 403, reader, sighting_id=sighting_id)["code"] == "forbidden"
    for headers in (None, north):
        classify(service, 404, headers, sighting_id="nothing")
    classify(service, 404, north, sighting_id=sighting_id)
    for name in ("nothing", "tiny", "..", "default"):
        classify(service, 404, name=name, images=[encoded(1)])
    classify(service, 422)
    classify(service, 422, images=[encoded(1)] * 2, sighting_id=sighting_id)
    classify(service, 422, images=["?"])
    assert service.get(f"/v1/sightings/{sighting_id}")["attributes"] == {}


def test_a_bundle_that_cannot_be_used_is_left_out_and_logged(service, glasses, caplog):
    description = glasses / "bundle.json"
    description.write_text(description.read_text().replace('"kind": "classifier"', '"kind": "oracle"'))
    with caplog.at_level("WARNING", logger="service.bundles"):
        assert "glasses" not in {one["name"] for one in service.get("/v1/classifiers")["classifiers"]}
    assert "got 'oracle'" in caplog.text
    classify(service, 404, images=[encoded(1)])


def test_after_the_end_none_is_loaded(tmp_path):
    classifiers = Classifiers(Settings(home=tmp_path), Decoders(), Metrics())
    classifiers.close()
    with pytest.raises(DeadlineError, match="one that ends"):
        classifiers.load("sunglasses")
