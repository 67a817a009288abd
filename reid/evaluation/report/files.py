"""The report on disk."""

import json
from pathlib import Path

from reid.evaluation.report.contents import Report
from reid.evaluation.report.page import html_page

MAX_BYTES = 5_000_000


def write_report(folder: Path, report: Report) -> None:
    """Write `report.html` and `report.json` to `folder`, made if need be.

    Raises ``ValueError`` when pictures make the page larger than `MAX_BYTES`: it is meant to be sent around.
    """
    page = html_page(report).encode()
    if len(page) > MAX_BYTES:
        raise ValueError(f"expected a page of at most {MAX_BYTES:,} bytes, got {len(page):,}: give smaller pictures")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.html").write_bytes(page)
    (folder / "report.json").write_text(json.dumps(report.to_json(), indent=1) + "\n")
