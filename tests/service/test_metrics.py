"""GET /metrics: figures, for those who may know them."""

import re


def test_requests_are_counted_by_route_and_status_and_name_nobody(service):
    service.enrol(1, person_id="Ursula")
    service.get("/v1/persons/Ursula")
    service.get("/v1/persons/Zoe", expect=404)
    service.client.request("MADE-UP", "/anything")
    answer = service.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert 'reid_requests_total{method="GET",route="/v1/persons/{person_id}",status="200"} 1' in lines
    assert 'reid_requests_total{method="GET",route="/v1/persons/{person_id}",status="404"} 1' in lines
    assert 'reid_requests_total{method="other",route="(no route)",status="404"} 1' in lines
    assert {"reid_sightings_indexed 1", "reid_change 1", "reid_model_waiting 0", "reid_erasure_pending 0"} <= set(lines)
    assert "Ursula" not in answer.text
    assert all(re.fullmatch(r'# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]*",?)+\})? \d+', line) for line in lines)


def test_without_a_key_nobody_learns_how_much_is_going_on(service):
    assert service.get("/readyz").keys() == {"status", "bundle_id"}
    service.client.headers.pop("X-API-Key")
    assert service.client.get("/metrics").status_code == 401
