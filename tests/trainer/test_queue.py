import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from tests.redis_server import running_redis
from tests.service.gallery.conftest import wait_until
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

DIES_WITH_A_MADE_UP_TRIAL = """
    queue._study.ask()
    die()
"""

DIES_BEFORE_IT_QUEUES_ITS_CELL_AGAIN = """
    queue._study.enqueue_trial = die
    cells = queue.take()
    next(cells)
    cells.throw(KeyboardInterrupt)
"""


def killed(journal: Path, doing: str) -> None:
    """A worker that is killed in the midst of something."""
    begins = f"""
        import os, signal
        from trainer.queue import CellQueue
        def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
        queue = CellQueue("study", {str(journal)!r}, lease_s={LEASE_S})
    """
    dying = [sys.executable, "-c", textwrap.dedent(begins) + textwrap.dedent(doing)]
    assert subprocess.run(dying, timeout=120, check=False).returncode == -signal.SIGKILL


def worker(journal: Path, log: Path, seconds: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WORKER, str(journal), str(log), str(seconds), str(LEASE_S)])


def finish(journal: Path, log: Path) -> None:
    """Have a worker do what is left."""
    process = worker(journal, log, 0)
    try:
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


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


def test_nobody_waits_for_a_trial_that_was_made_up_for_a_worker_since_killed(tmp_path: Path) -> None:
    journal, log = tmp_path / "journal.log", tmp_path / "log"
    killed(journal, DIES_WITH_A_MADE_UP_TRIAL)
    CellQueue("study", str(journal)).add(1)
    finish(journal, log)
    assert taken(log) == [0]


def test_a_cell_whose_worker_was_killed_before_it_queued_it_again_is_not_lost(tmp_path: Path) -> None:
    journal, log = tmp_path / "journal.log", tmp_path / "log"
    CellQueue("study", str(journal)).add(2)
    killed(journal, DIES_BEFORE_IT_QUEUES_ITS_CELL_AGAIN)
    finish(journal, log)
    assert taken(log) == [1, 0]


def test_a_cell_that_was_queued_twice_is_done_once(tmp_path: Path) -> None:
    queue = CellQueue("study", str(tmp_path / "journal.log"))
    queue.add(2)
    queue._study.enqueue_trial({}, user_attrs={"cell": 1})  # as two do who find it lost at the same time
    cells = queue.take()
    assert [next(cells), next(cells)] == [0, 1]
    assert CellQueue("study", str(tmp_path / "journal.log"))._next() is None  # while it is being done
    assert list(cells) == []
    assert queue.done() == {0, 1}


@pytest.mark.filterwarnings("ignore:JournalRedisBackend is experimental")
def test_a_queue_in_redis_has_a_timeout(tmp_path: Path) -> None:
    with running_redis(tmp_path / "redis") as server:
        queue = CellQueue("study", f"redis://127.0.0.1:{server.port}")
        queue.add(2)
        assert list(queue.take()) == [0, 1]
        with queue._study._storage._backend._redis as client:
            assert client.get_connection_kwargs()["socket_timeout"] == 30


@pytest.mark.filterwarnings("ignore:JournalRedisBackend is experimental")
def test_a_redis_that_no_longer_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(1) as opener:
        address = f"redis://127.0.0.1:{silent.getsockname()[1]}?socket_timeout=0.1"
        with pytest.raises(redis.TimeoutError):
            opener.submit(CellQueue, "study", address).result(30)


@pytest.mark.filterwarnings("ignore:JournalRedisBackend is experimental")
def test_a_redis_that_was_silent_for_a_while_ends_no_lease(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running_redis(tmp_path / "redis") as server:
        address = f"redis://127.0.0.1:{server.port}"
        queue = CellQueue("study", f"{address}?socket_timeout=0.1", lease_s=2)
        queue.add(1)
        cells = queue.take()
        next(cells)
        with redis.Redis(port=server.port) as client:
            client.client_pause(1500)
        wait_until(lambda: "could not be renewed" in caplog.text)
        silent_until_s, other = time.time(), CellQueue("study", address)

        def is_renewed() -> bool:
            (trial,) = other._study.get_trials()
            return bool(trial.user_attrs["lease_until"] > silent_until_s + queue.lease_s)

        wait_until(is_renewed)
        assert list(cells) == []
        assert queue.done() == {0}
