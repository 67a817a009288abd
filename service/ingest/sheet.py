"""Tracklets to look at: a contact sheet."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from service.ingest.tracklets import Tracklet

_CELL_WH = (80, 160)
_LABEL_PX = 130


def write_sheet(path: Path, tracklets: Sequence[Tracklet], crops_each: int) -> None:
    """Write a JPEG, a row each: number, first and last time, crops in order of time."""
    width, height = _CELL_WH
    sheet = Image.new("RGB", (_LABEL_PX + width * crops_each, height * max(1, len(tracklets))), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for row, tracklet in enumerate(tracklets):
        first, last = tracklet.crops[0].time_s, tracklet.crops[-1].time_s
        label = f"{tracklet.number}\n{first:.1f} - {last:.1f} s\n{tracklet.frames} frames"  # its font has no dash
        draw.multiline_text((6, row * height + 8), label, fill="black", font=font)
        for column, crop in enumerate(tracklet.crops):
            small = crop.image.copy()
            small.thumbnail((width - 4, height - 4))
            sheet.paste(small, (_LABEL_PX + column * width, row * height + 2))
    sheet.save(path, quality=90)
