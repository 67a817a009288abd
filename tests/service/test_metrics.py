"""GET /metrics: figures, for those who may know them."""

import re
from pathlib import Path


def test_requests_are_counted_by_route_and_status_and_name_nobody(service):
    service.enrol(1, person_id="Ursula")
    service.get("/v1/persons/Ursula")
    service.get("/v1/persons/Zoe", expect=404)
    service.client.request("PROPFIND", "/anything")  # made-up ones are refused before they are counted
    answer = service.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert 'reid_requests_total{method="GET",route="/v1/persons/{person_id}",status="200"} 1.0' in lines
    assert 'reid_requests_total{method="GET",route="/v1/persons/{person_id}",status="404"} 1.0' in lines
    assert 'reid_requests_total{method="other",route="(no route)",status="404"} 1.0' in lines
    gauges = {"reid_sightings_indexed", "reid_change", "reid_model_waiting_images", "reid_erasure_pending"}
    assert {f"{name} {value}" for name, value in zip(sorted(gauges), ("1.0", "0.0", "0.0", "1.0"), strict=True)} <= set(
        lines
    )
    assert 'reid_request_seconds_count{route="/v1/sightings"} 1.0' in lines
    assert {"reid_model_batch_images_sum 1.0", "reid_model_seconds_count 1.0"} <= set(lines)
    assert "Ursula" not in answer.text


def test_without_a_key_nobody_learns_how_much_is_going_on(service):
    assert service.get("/readyz").keys() == {"status", "bundle_id", "durability", "index"}
    service.client.headers.pop("X-API-Key")
    assert service.client.get("/metrics").status_code == 401


def test_dashboard_and_alerts_ask_for_figures_that_exist(service):
    service.enrol(1)
    names = set(re.findall(r"^(\w+)(?:\{| )", service.client.get("/metrics").text, re.MULTILINE))
    for file in ("dashboard.json", "alerts.yaml"):
        text = (Path(__file__).parents[2] / "deploy" / "monitoring" / file).read_text()
        asked = set(re.findall(r"reid_\w+", text))
        assert asked
        assert asked <= names, asked - names
