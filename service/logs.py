"""Logs as JSON, one object a line: when, how grave, what, and the request's id; never who."""

import json
import logging
import sys
from datetime import UTC, datetime

_FIELDS = ("request_id", "method", "route", "status", "taken_ms")  # what a line may carry beside its message


class JsonLines(logging.Formatter):
    """A record as one line of JSON. Of an error its kind and place are told, not its words: they can name people."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info is not None and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["trace"] = _places(record)
        return json.dumps(line)


def configure() -> None:
    """Write everything from INFO on to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log whole addresses


def _places(record: logging.LogRecord) -> list[str]:
    assert record.exc_info is not None
    places, trace = [], record.exc_info[2]
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return places
