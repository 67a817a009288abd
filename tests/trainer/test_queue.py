import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import pytest

from trainer.queue import CellQueue

LEASE_S = 1.0

WORKER = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    from trainer.queue import CellQueue

    journal, log, seconds, lease = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    for cell in CellQueue("study", journal, lease_s=lease).take():
        with log.open("a") as file:
            file.write(f"{cell}\\n")
        time.sleep(seconds)
""")


def worker(journal: Path, log: Path, seconds: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WORKER, str(journal), str(log), str(seconds), str(LEASE_S)])


def taken(log: Path) -> list[int]:
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def test_four_workers_do_every_cell_exactly_once(tmp_path: Path) -> None:
    journal, log = tmp_path / "journal.log", tmp_path / "log"
    queue = CellQueue("study", str(journal), lease_s=30)
    queue.add(12)
    workers = [worker(journal, log, 0.01) for _ in range(4)]
    assert [process.wait(120) for process in workers] == [0] * 4
    assert Counter(taken(log)) == Counter(range(12))
    assert queue.done() == set(range(12))


def test_a_killed_workers_cell_is_taken_up_again(tmp_path: Path) -> None:
    journal, log = tmp_path / "journal.log", tmp_path / "log"
    queue = CellQueue("study", str(journal), lease_s=LEASE_S)
    queue.add(3)
    dying = worker(journal, log, 3600)
    deadline = time.monotonic() + 60
    while not taken(log) and time.monotonic() < deadline:
        assert dying.poll() is None
        time.sleep(0.05)
    dying.send_signal(signal.SIGKILL)
    dying.wait()
    (lost,) = taken(log)
    assert worker(journal, log, 0).wait(120) == 0
    assert Counter(taken(log)) == Counter([lost, *range(3)])
    assert queue.done() == {0, 1, 2}


def test_a_slow_worker_keeps_its_cell_by_renewing(tmp_path: Path) -> None:
    journal, log = tmp_path / "journal.log", tmp_path / "log"
    CellQueue("study", str(journal)).add(2)
    workers = [worker(journal, log, 4 * LEASE_S) for _ in range(2)]
    assert [process.wait(120) for process in workers] == [0, 0]
    assert Counter(taken(log)) == Counter([0, 1])


def test_cells_are_numbered_once_however_often_they_are_added(tmp_path: Path) -> None:
    queue = CellQueue("study", str(tmp_path / "journal.log"))
    queue.add(2)
    queue.add(4)
    assert sorted(queue.take()) == [0, 1, 2, 3]
    queue.add(4)
    assert list(queue.take()) == []


def test_a_cell_whose_work_failed_is_queued_again(tmp_path: Path) -> None:
    queue = CellQueue("study", str(tmp_path / "journal.log"))
    queue.add(1)
    cells = queue.take()
    assert next(cells) == 0
    with pytest.raises(KeyboardInterrupt):
        cells.throw(KeyboardInterrupt)
    assert queue.done() == set()
    assert list(queue.take()) == [0]
