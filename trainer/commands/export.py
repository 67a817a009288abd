"""`reid-trainer export`."""

from pathlib import Path
from typing import Annotated

import typer

from reid.bundle import bundle_folder, load_network, read_bundle
from reid.kinds import EMBEDDING
from trainer.commands.shared import BundleOption, one_line_errors
from trainer.export import Target, export_network


def export(
    to: Annotated[Target, typer.Option(help="The form to write.")],
    out: Annotated[Path, typer.Option(help="The file to write: .onnx, or .xml (its .bin beside it) for OpenVINO.")],
    bundle: BundleOption = "default",
) -> None:
    """Write a bundle in the form of another runtime.

    The file takes uint8 RGB pixels (B, 3, H, W) at the bundle's crop size, any batch size, and gives unit vectors
    (B, D): normalisation and flip averaging are inside. It is run before it takes its place, and refused unless its
    vectors agree with the bundle's to a cosine of 0.9999.
    """
    with one_line_errors():
        folder = bundle_folder(bundle)
        described = read_bundle(folder, EMBEDDING)
        agreement = export_network(load_network(folder, described, EMBEDDING), described, to, out)
        size = described.preprocess
        typer.echo(f"{out}: crops of {size.height_px} × {size.width_px} px; least cosine to the bundle {agreement:.6f}")
