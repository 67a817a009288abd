"""The README's tree is true: it names every file and folder of the packages, and nothing that is not there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TREE = (ROOT / "README.md").read_text().split("## What is where")[1].split("\n## ")[0]


def named(package: str) -> set[str]:
    """What the tree lists below a package: the names at the start of its indented lines."""
    below = re.search(rf"^    {package}/.*\n((?:      .*\n)*)", TREE, re.MULTILINE)
    assert below is not None, f"the tree has no line for {package}/"
    heads = [re.split(r"\s{2,}", line.strip())[0] for line in below[1].splitlines()]
    return {name.strip().rstrip("/") for head in heads for name in head.split(",")}


@pytest.mark.parametrize("package", ["reid", "trainer", "service"])
def test_the_tree_names_what_is_there(package: str) -> None:
    present = {
        path.name for path in (ROOT / package).iterdir() if path.name not in ("__init__.py", "__pycache__", "py.typed")
    }
    assert named(package) == present


def test_the_tree_names_the_top_level() -> None:
    for name in re.findall(r"^    (\S+?)/?(?:,| {2,})", TREE, re.MULTILINE):
        assert (ROOT / name).exists(), name
