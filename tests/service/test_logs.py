"""Logs: one JSON object a line, with what is needed to find a request again and nothing about people."""

import json
import logging
import sys

from service.logs import JsonLines


def line_of(message: str, *arguments: object, exc_info=None, **extra: object) -> dict:
    record = logging.getLogger("service.access").makeRecord(
        "service.access", logging.INFO, __file__, 1, message, arguments, exc_info, extra=extra
    )
    text = JsonLines().format(record)
    assert "\n" not in text
    return json.loads(text)


def test_a_line_is_an_object_with_the_fields_of_the_request():
    line = line_of("%s %s", "GET", "/v1/persons", request_id="r", route="/v1/persons", status=200, taken_ms=1.5)
    assert line.pop("at").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "service.access",
        "message": "GET /v1/persons",
        "request_id": "r",
        "route": "/v1/persons",
        "status": 200,
        "taken_ms": 1.5,
    }


def test_an_error_is_told_by_kind_and_place_and_not_in_words_that_could_name_somebody():
    def fail() -> None:
        {}["Ada\nLovelace"]

    try:
        fail()
    except KeyError:
        line = line_of("a job failed", exc_info=sys.exc_info())
    assert line["error"] == "KeyError"
    assert line["trace"][0].startswith("tests.service.test_logs:")
    assert "Ada" not in json.dumps(line)
