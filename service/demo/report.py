"""What the demo shows: a table for the terminal and a picture of the crops."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from rich.table import Table

from service.demo.people import DemoSighting

_CROP_WH = (96, 192)
_CELL_WH = (124, 246)
_FRAME_PX = 4
_CAPTION = "Expected false: how many strangers would score as high as the last match shown."
_HIT, _MISS, _QUERY = (34, 160, 70), (205, 50, 45), (70, 70, 76)


@dataclass(frozen=True)
class RankedMatch:
    """One match of an answer, with the crop that the service keeps of it."""

    person_id: str | None
    camera_id: str
    score: float
    image: bytes


@dataclass(frozen=True)
class Answer:
    """One query and its matches, best first."""

    query: DemoSighting
    matches: list[RankedMatch]
    expected_false_matches: float | None

    @property
    def is_hit(self) -> bool:
        """Whether the best match is the person asked for."""
        return bool(self.matches) and self.matches[0].person_id == self.query.person_id


def rank_1(answers: Sequence[Answer]) -> float:
    """The fraction of answers whose best match is right."""
    return sum(answer.is_hit for answer in answers) / len(answers)


def matches_table(answers: Sequence[Answer], top_k: int) -> Table:
    """One row per query: whom and where, then the matches as person, camera and score."""
    ranks = [f"Rank {rank}" for rank in range(1, top_k + 1)]
    table = Table("Query", *ranks, "Expected\nfalse", "", show_lines=True, caption=_CAPTION)
    for answer in answers:
        cells = [_match_text(match, answer.query) for match in answer.matches]
        expected = answer.expected_false_matches
        table.add_row(
            f"{answer.query.person_id}\n{answer.query.camera_id}",
            *cells,
            *[""] * (top_k - len(cells)),
            "–" if expected is None else f"{expected:.2g}",
            "[green]hit" if answer.is_hit else "[red]miss",
        )
    return table


def write_picture(path: Path, answers: Sequence[Answer], top_k: int) -> None:
    """Write a JPEG: each row a query, then its matches framed green (the same person) or red."""
    width, height = _CELL_WH
    sheet = Image.new("RGB", (width * (1 + top_k), height * len(answers)), "white")
    for row, answer in enumerate(answers):
        query = answer.query
        _paste(sheet, (0, row), query.image, _QUERY, f"{query.person_id}", f"query, {query.camera_id}")
        for rank, match in enumerate(answer.matches, start=1):
            colour = _HIT if match.person_id == query.person_id else _MISS
            label = f"{match.score:.2f}, {match.camera_id}"
            _paste(sheet, (rank, row), match.image, colour, match.person_id or "unknown", label)
    sheet.save(path, quality=92)


def _match_text(match: RankedMatch, query: DemoSighting) -> str:
    colour = "green" if match.person_id == query.person_id else "red"
    return f"[{colour}]{match.person_id or 'unknown'}[/]\n{match.camera_id}  {match.score:.2f}"


def _paste(sheet: Image.Image, cell: tuple[int, int], image: bytes, colour: tuple[int, int, int], *lines: str) -> None:
    left, top = cell[0] * _CELL_WH[0] + (_CELL_WH[0] - _CROP_WH[0]) // 2, cell[1] * _CELL_WH[1] + 8
    right, bottom = left + _CROP_WH[0], top + _CROP_WH[1]
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((left - _FRAME_PX, top - _FRAME_PX, right + _FRAME_PX - 1, bottom + _FRAME_PX - 1), fill=colour)
    with Image.open(BytesIO(image)) as crop:
        sheet.paste(crop.convert("RGB").resize(_CROP_WH, Image.Resampling.BICUBIC), (left, top))
    font = ImageFont.load_default(13)
    draw.multiline_text(
        ((left + right) / 2, bottom + _FRAME_PX + 2),
        "\n".join(lines),
        fill=colour,
        font=font,
        anchor="ma",
        align="center",
    )
