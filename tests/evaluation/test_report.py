import base64
import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from reid.evaluation.cameras import evaluate_camera_pairs
from reid.evaluation.hardest import hardest_queries
from reid.evaluation.hygiene import examine
from reid.evaluation.report import Report, write_report
from reid.evaluation.report.page import html_page
from reid.evaluation.retrieval import evaluate_retrieval
from reid.evaluation.score_histogram import ScoreHistogram, score_histograms
from tests.evaluation.people import crowd

ATTACK = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def report() -> Report:
    rows, people = crowd(13, 240, people=20, cameras=3)
    parts = (rows[:60], rows[60:], people[:60], people[60:])
    result = evaluate_retrieval(*parts)
    cameras = {1: "yard", 2: "door", 3: ATTACK}
    return Report(
        title=f"tiny on {ATTACK}",
        bundle_id="0123abcd",
        domain="a crowd",
        protocol="every crop asks",
        figures={
            "rank_1": result.rank(1),
            "rank_5": result.rank(5),
            "rank_10": result.rank(10),
            "mean_ap": result.mean_ap,
            "mean_ap_trapezoid": result.mean_ap_trapezoid,
            "mean_inp": result.mean_inp,
            "rank_1_interval": [0.5, 0.6],
            "mean_ap_interval": [0.4, 0.5],
            "num_queries": 60,
            "num_valid_queries": 60,
            "num_gallery": 180,
            "num_people": 20,
            "num_people_with_one_crop": 0,
            "num_people_on_one_camera": 0,
            "num_duplicate_files": 0,
        },
        result=result,
        histogram=ScoreHistogram.total(score_histograms(*parts).values()),
        camera_pairs={(cameras[a], cameras[b]): pair for (a, b), pair in evaluate_camera_pairs(*parts).items()},
        hardest=hardest_queries(*parts, result),
        hygiene=examine(rows[60:], people[60:]),
        query_names=[f"query/{row}{ATTACK}.jpg" for row in range(60)],
        gallery_names=[f"gallery/{row}.jpg" for row in range(180)],
        person_names={pid: f"{pid}{ATTACK}" for pid in range(1, 21)},
    )


class Tags(HTMLParser):
    """Collects tags and sources, and fails on one that is closed out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.sources += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_stands_alone(report: Report) -> None:
    page = html_page(report)
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert not {"script", "link", "iframe"} & set(tags.seen)
    assert all(source.startswith("data:image/") for source in tags.sources)
    assert len(tags.sources) == 4
    assert "url(" not in page


def test_names_from_outside_are_only_text(report: Report) -> None:
    page = html_page(dataclasses.replace(report, pictures=pictures(report)))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert 'alt="query/' in page


def test_a_cameras_name_is_no_formula(report: Report) -> None:
    pairs = {(r"$\frac$", "b$"): next(iter(report.camera_pairs.values()))}
    page = html_page(dataclasses.replace(report, camera_pairs=pairs))
    drawings = [base64.b64decode(data).decode() for data in re.findall(r"data:image/svg\+xml;base64,([^\"]+)", page)]
    assert sum(r"$\frac$" in drawing for drawing in drawings) == 1


def test_domain_protocol_and_bundle_stand_beside_the_figures(report: Report) -> None:
    page = html_page(report)
    for text in ("a crowd.", "every crop asks.", "0123abcd", f"{report.result.rank(1):.2%}", "60 of 60 queries count"):
        assert text in page


def pictures(report: Report) -> dict[str, bytes]:
    names = [report.query_names[hard.query_row] for hard in report.hardest]
    names += [report.gallery_names[row] for hard in report.hardest for row in hard.gallery_rows]
    return dict.fromkeys(names, b"\xff\xd8\xff")


def test_right_and_wrong_matches_are_framed_apart(report: Report) -> None:
    page = html_page(dataclasses.replace(report, pictures=pictures(report)))
    shown = [right for hard in report.hardest for right in hard.right]
    assert len(re.findall('<figure class="right">', page)) == sum(shown) > 0
    assert len(re.findall('<figure class="wrong">', page)) == len(shown) - sum(shown) > 0
    assert len(re.findall('<figure class="query">', page)) == len(report.hardest)


def test_the_same_evaluation_gives_the_same_bytes(report: Report, tmp_path: Path) -> None:
    write_report(tmp_path / "a", report)
    write_report(tmp_path / "b", dataclasses.replace(report))
    for name in ("report.html", "report.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_json_holds_what_the_page_draws(report: Report, tmp_path: Path) -> None:
    write_report(tmp_path, report)
    raw = json.loads((tmp_path / "report.json").read_text())
    assert (raw["domain"], raw["protocol"], raw["bundle_id"]) == ("a crowd", "every crop asks", "0123abcd")
    assert raw["cmc"][0] == raw["rank_1"] == report.result.rank(1)
    assert len(raw["cmc"]) == 50
    rates = [point["false_match_rate"] for point in raw["roc"]]
    assert rates == sorted(rates)
    assert min(rates) >= 1 / raw["calibration"]["num_impostor_pairs"]  # what was not measured is not told
    assert {row["query_camera"] for row in raw["camera_pairs"]} == {"yard", "door", ATTACK}
    assert len(raw["hardest_queries"]) == 10
    assert len(raw["gallery"]["look_alikes"]) == 10


def test_a_page_too_large_to_send_is_refused(report: Report, tmp_path: Path) -> None:
    large = dict.fromkeys(pictures(report), b"\xff" * 100_000)
    with pytest.raises(ValueError, match="expected a page of at most 5,000,000 bytes"):
        write_report(tmp_path / "large", dataclasses.replace(report, pictures=large))
    assert not (tmp_path / "large").exists()
