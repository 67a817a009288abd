"""The page at /docs: complete, and nothing in it is loaded from anywhere."""

import re


def test_the_page_names_every_route_and_loads_nothing(shared_service):
    answer = shared_service.client.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert re.findall(r"<script|<link|<img|src=|href=['\"]?https?:|@import|url\(", answer.text) == []
    description = shared_service.get("/openapi.json")
    for path, methods in description["paths"].items():
        for method in methods:
            assert f"<code>{method.upper()} {path}</code>" in answer.text
    anchors = set(re.findall(r'id="([^"]*)"', answer.text))
    assert set(re.findall(r'href="#([^"]*)"', answer.text)) <= anchors == set(description["components"]["schemas"])
