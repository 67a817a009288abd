from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reid.datasets.table import read_table
from reid.errors import DatasetError
from tests.datasets.operator_data import write_people, write_table


@pytest.fixture
def rows(tmp_path: Path) -> list[dict[str, str]]:
    paths = write_people(tmp_path, "crops/{person}-{camera}-{index}.jpg", people=2)
    return [
        {"path": path.relative_to(tmp_path).as_posix(), "person": path.name[:2], "camera": path.name[3:7], "note": ""}
        for path in paths
    ]


def test_paths_count_from_the_table(tmp_path: Path, rows: list[dict[str, str]]) -> None:
    crops = read_table(write_table(tmp_path / "people.csv", rows))
    assert [path.is_file() for path in crops.paths] == [True] * 8
    assert crops.labels.pids.tolist() == [1] * 4 + [2] * 4
    assert crops.labels.camids.tolist() == [1, 1, 2, 2] * 2
    assert crops.labels.tracklets is None


def test_a_minute_without_the_person_ends_a_tracklet(tmp_path: Path, rows: list[dict[str, str]]) -> None:
    times = ["08:00:00+01:00", "07:01:00+00:00", "08:00:00+01:00", "08:01:01+01:00"] * 2
    timed = [row | {"time": f"2025-03-01T{time}"} for row, time in zip(rows, times, strict=True)]
    tracklets = read_table(write_table(tmp_path / "people.csv", timed)).labels.tracklets
    assert tracklets is not None
    assert tracklets[0] == tracklets[1]  # 60 s apart, told in two offsets
    assert len(set(tracklets.tolist())) == 6


def test_a_spreadsheets_byte_order_mark_is_no_part_of_a_name(tmp_path: Path, rows: list[dict[str, str]]) -> None:
    file = write_table(tmp_path / "people.csv", rows)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert len(read_table(file).paths) == 8


@pytest.mark.parametrize("column", ["path", "person", "camera"])
def test_a_missing_column_is_named(tmp_path: Path, rows: list[dict[str, str]], column: str) -> None:
    file = write_table(tmp_path / "people.csv", [{k: v for k, v in row.items() if k != column} for row in rows])
    with pytest.raises(DatasetError, match=f"the columns path, person, camera, got none called '{column}'"):
        read_table(file)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("crops/p1-cam1-0.jpg,p1,cam1", "people.csv:3: expected each path once, got that of line 2 again"),
        ("x.jpg,,cam1", "people.csv:3: expected a person, got nothing"),
        ("x.jpg,p1", "people.csv:3: expected as many fields as there are columns"),
        ("x.jpg,p1,cam1,1", "people.csv:3: expected as many fields as there are columns"),
        ("x.jpg,p1,cam1", "x.jpg: No such file"),
    ],
)
def test_a_line_that_does_not_fit_is_named(tmp_path: Path, rows: list[dict[str, str]], line: str, message: str) -> None:
    file = tmp_path / "people.csv"
    file.write_text(f"path,person,camera\n{rows[0]['path']},p1,cam1\n{line}\n")
    with pytest.raises(DatasetError, match=message):
        read_table(file)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (("yesterday", ""), "people.csv:2: expected a time such as 2025-03-01T08:30:00"),
        (("2025-03-01T08:00:00", ""), "people.csv:2: expected a time with its offset from UTC"),
        (("2025-03-01T08:00:00Z", ""), "people.csv:3: expected a time in every line or in none"),
    ],
)
def test_times_are_complete(tmp_path: Path, rows: list[dict[str, str]], times: tuple[str, str], message: str) -> None:
    timed = [row | {"time": time} for row, time in zip(rows, times, strict=False)]
    with pytest.raises(DatasetError, match=message):
        read_table(write_table(tmp_path / "people.csv", timed))


@given(content=st.binary(max_size=300) | st.binary(max_size=200).map(lambda tail: b"path,person,camera\n" + tail))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_any_bytes_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "people.csv"
    file.write_bytes(content)
    with pytest.raises(DatasetError):
        read_table(file)
