"""`reid-trainer validate`."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from reid.datasets.clip_manifest import OK, examine, write_manifest
from reid.datasets.videos import files_of
from trainer.commands.shared import one_line_errors
from trainer.progress import mapped


def validate(
    data: Annotated[Path, typer.Argument(help="A folder of clips per label.")],
    out: Annotated[Path, typer.Option(help="The manifest to write, a CSV.")] = Path("manifest.csv"),
) -> None:
    """Look through a set of clips before training: decode every file to its end and write what it is.

    The manifest has a row a file: path, label, sha256, frames, frames per second, codec, and a verdict: `ok`, or why
    the file is left out (it does not decode, or is a copy of another). What is left out is printed too. Given as
    `--data`, the manifest trains and evaluates on the others.
    """
    with one_line_errors():
        files = files_of(data)
        clips = mapped(lambda clip: clip, examine(files), len(files), "clips")
        write_manifest(out, clips)
        left_out = [clip for clip in clips if clip.verdict != OK]
        for clip in left_out:
            typer.echo(f"left out: {clip.path}: {clip.verdict}")
        kept = Counter(clip.label for clip in clips if clip.verdict == OK)
        for label in sorted({clip.label for clip in clips}):
            typer.echo(f"{label}: {kept[label]} clips")
        typer.echo(f"{out}: {kept.total()} of {len(clips)} files can be used, {len(left_out)} are left out")
