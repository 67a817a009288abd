import os
import subprocess
import sys
from pathlib import Path

import pytest

from reid.threads import available_processors, configure, share_of_processors


@pytest.mark.parametrize(("text", "limit"), [("150000 100000\n", 1), ("50000 100000\n", 1), ("200000 100000\n", 2)])
def test_a_container_quota_caps_the_processors(tmp_path: Path, text: str, limit: int) -> None:
    cpu_max = tmp_path / "cpu.max"
    cpu_max.write_text(text)
    assert available_processors(cpu_max) == min(limit, len(os.sched_getaffinity(0)))


def test_no_quota_means_the_affinity_mask(tmp_path: Path) -> None:
    cpu_max = tmp_path / "cpu.max"
    cpu_max.write_text("max 100000\n")
    assert available_processors(cpu_max) == len(os.sched_getaffinity(0))
    assert available_processors(tmp_path / "missing") == len(os.sched_getaffinity(0))


def test_fewer_than_one_thread_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one thread, got 0"):
        configure(0)


def test_what_the_environment_says_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert share_of_processors() == 7


def test_processes_of_one_machine_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(available_processors()))
    assert share_of_processors() == 1


@pytest.mark.parametrize("order", ["before", "after"])
def test_every_library_gets_the_same_number(order: str) -> None:
    load = "import faiss, torch"
    share = "from reid.threads import configure; configure(1)"
    first, second = (share, load) if order == "before" else (load, share)
    ask = "import faiss, torch; print(torch.get_num_threads(), faiss.omp_get_max_threads())"
    done = subprocess.run(
        [sys.executable, "-c", f"{first}\n{second}\n{ask}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "1"]
