"""GET and PUT /v1/retention; what the rules do is tested with the gallery."""

import pytest

from service.gallery.retention import RetentionRunner
from tests.service.gallery.conftest import wait_until

RULES = [
    {"max_age_s": 86_400, "camera_id": None, "known": False},
    {"max_age_s": 3600, "camera_id": "north", "known": None},
]


def test_rules_are_set_whole_and_applied(service):
    assert service.get("/v1/retention")["rules"] == []
    old = {"captured_at": "2020-01-01T00:00:00Z"}
    gone = service.enrol(1, **old)["sightings"][0]["sighting_id"]
    kept = service.enrol(2, person_id="ada", **old)["sightings"][0]["sighting_id"]
    answer = service.client.put("/v1/retention", json={"rules": RULES})
    assert answer.json() == {"rules": RULES, "change": 3} == service.get("/v1/retention")
    runner = RetentionRunner(service.core.gallery)
    wait_until(lambda: service.client.get(f"/v1/sightings/{gone}").status_code == 404)
    runner.close()
    service.get(f"/v1/sightings/{kept}")
    assert service.client.put("/v1/retention", json={"rules": []}).json()["rules"] == []


@pytest.mark.parametrize(
    "rules", [None, [{}], [{"max_age_s": 0}], [{"max_age_s": 10**12}], [{"max_age_s": 1, "x": 1}], [RULES[0], RULES[0]]]
)
def test_rules_that_make_no_sense_are_refused(shared_service, rules):
    assert shared_service.client.put("/v1/retention", json={"rules": rules}).status_code == 422
