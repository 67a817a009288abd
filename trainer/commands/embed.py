"""`reid-trainer embed`."""

from pathlib import Path
from typing import Annotated

import typer

from reid.predictors import Embedder
from trainer.commands.shared import BundleOption, Device, one_line_errors
from trainer.embedding_file import embed_folder


def embed(
    folder: Annotated[Path, typer.Argument(help="Folder of JPEG, PNG or WebP crops, searched recursively.")],
    out: Annotated[Path, typer.Option(help="The .npz file to write: `path` (N,) and `embedding` (N, D) float32.")],
    bundle: BundleOption = "default",
    device: Device = "auto",
) -> None:
    """Embed every image of a folder: unit rows, sorted by path."""
    with one_line_errors():
        count = embed_folder(Embedder.load(bundle, device), folder, out)
        typer.echo(f"{count} embeddings in {out}")
