"""The gallery runs where neither torch nor HTTP is: in the processes that crash tests kill by the hundred."""

import subprocess
import sys


def test_the_gallery_needs_neither_torch_nor_http():
    code = (
        "import sys, service.gallery.gallery; print(*{'torch', 'fastapi', 'starlette', 'uvicorn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
