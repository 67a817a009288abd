"""The one place that shares the processors out.

Call :func:`configure` before torch, FAISS or a BLAS library loads: each of them reads the environment only once,
and each would otherwise start a thread per core of the *host*, whatever the container may use.
"""

import os
import sys
from pathlib import Path

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def available_processors(cgroup_limit: Path = _CGROUP_LIMIT) -> int:
    """Processors this process may really use: its affinity mask, cut down to the cgroup's quota (at least 1)."""
    affinity = len(os.sched_getaffinity(0))
    if not cgroup_limit.is_file():
        return affinity
    quota, period = cgroup_limit.read_text().split()
    if quota == "max":
        return affinity
    return max(1, min(affinity, int(quota) // int(period)))


def configure(threads: int | None = None) -> int:
    """Give every numeric library the same number of threads and return it.

    `threads` defaults to :func:`share_of_processors`. Raises ``ValueError`` below 1. What is already loaded is told
    directly; what is not yet loaded reads the environment.
    """
    count = share_of_processors() if threads is None else threads
    if count < 1:
        raise ValueError(f"expected at least one thread, got {count}")
    for variable in _VARIABLES:
        os.environ[variable] = str(count)
    # Threads that wait must sleep: spinning ones starve whatever else runs here, and with two busy processes on two
    # cores a run that takes 10 s alone was seen to take 300 s.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
    if "faiss" in sys.modules:
        sys.modules["faiss"].omp_set_num_threads(count)
    return count


def share_of_processors() -> int:
    """Threads for this process: OMP_NUM_THREADS, or its part of what is available (`torchrun`'s LOCAL_WORLD_SIZE)."""
    if given := os.environ.get("OMP_NUM_THREADS"):
        return int(given)
    return max(1, available_processors() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
