"""torchreid 0.2.5 as pip installs it, for the modules that measure against it.

The package is pure Python once installed (the source of its Cython ranking is not in it). Its `__init__` imports every
data set, network and logger it has, with a dozen requirements; the two modules wanted here need NumPy only, so they are
loaded from the installed files, unchanged.
"""

import importlib.util
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

VERSION = "0.2.5"


@contextmanager
def installed_torchreid() -> Iterator[Path]:
    """Install torchreid for as long as the block runs, without its requirements; yield its folder of modules."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder]
        subprocess.run([*pip, f"torchreid=={VERSION}"], check=True)
        package = Path(folder) / "torchreid" / "reid"
        assert not list(package.rglob("rank_cy.*")), "this torchreid has its compiled ranking: another peer"
        yield package


def load(file: Path) -> ModuleType:
    """One module of the package."""
    spec = importlib.util.spec_from_file_location(f"torchreid_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that its compiled ranking is missing, which is the point
        spec.loader.exec_module(module)
    return module
