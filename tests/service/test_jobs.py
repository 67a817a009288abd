"""Jobs: durable, cancellable, taken up again after a crash, gone with whom they speak of, seen by who may."""

import threading

import pytest

from service.core import Core
from service.gallery.records import Actor
from service.gallery.sqlite import jobs as table
from service.gallery.sqlite.jobs import MOST_ATTEMPTS, JobFile, Outcome
from service.jobs import JobRunner, Kind, Task
from service.jobs import runner as runner_module
from service.jobs.runner import MOST_OPEN
from service.settings import Settings
from tests.service.conftest import DEADLINE_S
from tests.service.gallery.conftest import EVERYONE, crop, fields, open_gallery, wait_until

NORTH = Actor("limited", frozenset(["north"]))


class Work:
    """A kind of job that waits to be told how to go on."""

    def __init__(self, outcome: Outcome | Exception | None = None) -> None:
        self.outcome = outcome or Outcome({"answer": 42})
        self.begun, self.go = threading.Event(), threading.Event()
        self.attempts: list[Task] = []

    def __call__(self, task: Task) -> Outcome:
        self.attempts.append(task)
        task.step(1, 4)
        self.begun.set()
        while not self.go.wait(0.01):
            task.step(2, 4)
        task.step(3, 4)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def job_of(gallery, job_id):
    with gallery.store.reading() as reading:
        return table.find_job(reading, job_id)


def ended(gallery, job_id):
    wait_until(lambda: job_of(gallery, job_id).state not in table.OPEN)
    return job_of(gallery, job_id)


@pytest.fixture
def gallery(tmp_path):
    opened = open_gallery(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def runner(gallery):
    """A runner of one kind of job; whatever a test leaves running may end."""
    work = Work()
    running = JobRunner(gallery, {"work": Kind("read", work)})
    yield running
    work.go.set()
    running.close()


def work_of(runner) -> Work:
    return runner.kinds["work"].handler


def test_a_job_runs_with_progress_and_keeps_its_result_and_files(gallery, runner):
    work_of(runner).outcome = Outcome({"answer": 42}, (JobFile("page", "text/html", b"<p>"),))
    job = runner.start(EVERYONE, "work", {"of": "mine"}).value
    assert work_of(runner).begun.wait(DEADLINE_S)
    wait_until(lambda: runner.progress(job_of(gallery, job.job_id)) == 0.5)
    assert job_of(gallery, job.job_id).state == "running"
    work_of(runner).go.set()
    done = ended(gallery, job.job_id)
    assert (done.state, done.result, done.request, done.attempts) == ("done", {"answer": 42}, {"of": "mine"}, 1)
    assert runner.progress(done) == 1
    with gallery.store.reading() as reading:
        assert table.job_file(reading, done, "page").content == b"<p>"


@pytest.mark.parametrize(
    ("error", "reason"), [(ValueError("no people"), "no people"), (KeyError("secret"), "the service failed")]
)
def test_a_job_that_fails_says_why_unless_that_is_our_own_affair(gallery, runner, error, reason):
    work_of(runner).outcome = error
    work_of(runner).go.set()
    failed = ended(gallery, runner.start(EVERYONE, "work", {}).value.job_id)
    assert failed.state == "failed"
    assert failed.reason.startswith(reason)
    assert "secret" not in failed.reason


def test_jobs_go_on_while_archives_cannot_be_looked_for(gallery, runner, tmp_path):
    (tmp_path / "archives").rmdir()
    work_of(runner).go.set()
    for _ in range(2):
        assert ended(gallery, runner.start(EVERYONE, "work", {}).value.job_id).state == "done"


def test_a_job_is_cancelled_between_steps_and_forgotten_after_its_end(gallery, runner):
    viewer = table.Viewer(frozenset(["read"]), None)
    first, second = (runner.start(EVERYONE, "work", {}).value.job_id for _ in range(2))
    assert work_of(runner).begun.wait(DEADLINE_S)
    assert runner.remove(second, viewer).state == "cancelled"
    assert runner.remove(first, viewer).state == "cancelled"
    third = runner.start(EVERYONE, "work", {}).value.job_id
    wait_until(lambda: len(work_of(runner).attempts) == 2)  # the first stopped, the second was never begun
    work_of(runner).go.set()
    assert ended(gallery, third).state == "done"
    assert runner.remove(third, viewer) is None
    with gallery.store.reading() as reading:
        assert [job.job_id for job in table.list_jobs(reading, viewer, None, 10).records] == [second, first]


def test_what_an_end_of_the_service_interrupts_is_taken_up_again_and_not_blamed(tmp_path):
    for attempt in range(MOST_ATTEMPTS + 2):
        gallery, work = open_gallery(tmp_path), Work()
        runner = JobRunner(gallery, {"work": Kind("read", work)})
        if attempt == 0:
            job_id = runner.start(EVERYONE, "work", {}).value.job_id
        assert work.begun.wait(DEADLINE_S)
        if attempt == MOST_ATTEMPTS + 1:
            work.go.set()
            assert ended(gallery, job_id).state == "done"
        runner.close()
        gallery.close()


def test_a_job_that_crashes_the_service_again_and_again_fails_with_a_reason(gallery):
    def crash(writing):
        writing.connection.execute("UPDATE jobs SET state = 'running', attempts = attempts + 1")

    work = Work()
    runner = JobRunner(gallery, {"work": Kind("read", work)})
    job_id = runner.start(EVERYONE, "work", {}).value.job_id
    assert work.begun.wait(DEADLINE_S)
    runner.close()
    for _ in range(MOST_ATTEMPTS):  # as if each attempt had ended the process
        gallery.store.write(crash)
    again = Work()
    JobRunner(gallery, {"work": Kind("read", again)}).close()
    with gallery.store.reading() as reading:
        state = table.find_job(reading, job_id).state
    if state == "waiting":  # closed before it looked
        runner = JobRunner(gallery, {"work": Kind("read", again)})
        ended(gallery, job_id)
        runner.close()
    failed = job_of(gallery, job_id)
    assert (failed.state, failed.reason) == ("failed", "taken up 3 times, and interrupted each time")
    assert again.attempts == []


def test_a_result_goes_with_whom_it_speaks_of(gallery, runner, tmp_path):
    (sighting,) = gallery.enrol(EVERYONE, [crop("a")], fields("Ursula")).value
    gallery.enrol(EVERYONE, [crop("b")], fields("bob"))
    work_of(runner).go.set()
    jobs = []
    for subject in ("Ursula", sighting.sighting_id, "bob"):
        outcome = Outcome({"who": subject}, (JobFile("page", "text/html", subject.encode()),), frozenset([subject]))
        work_of(runner).outcome = outcome
        jobs.append(ended(gallery, runner.start(EVERYONE, "work", {"about": subject}).value.job_id))
    assert [job.state for job in jobs] == ["done"] * 3
    gallery.erase_person(EVERYONE, "Ursula")
    for job in jobs[:2]:
        erased = job_of(gallery, job.job_id)
        assert (erased.state, erased.request, erased.result) == ("erased", None, None)
    assert job_of(gallery, jobs[2].job_id).result == {"who": "bob"}
    for name in (b"Ursula", sighting.sighting_id.encode()):
        assert [path for path in tmp_path.rglob("*") if path.is_file() and name in path.read_bytes()] == []


def test_whom_a_waiting_job_names_may_be_erased_before_it_runs(gallery, runner):
    gallery.enrol(EVERYONE, [crop("a")], fields("ada"))
    runner.start(EVERYONE, "work", {})
    job_id = runner.start(EVERYONE, "work", {"who": "ada"}, frozenset(["ada"])).value.job_id
    gallery.erase_person(EVERYONE, "ada")
    assert (job_of(gallery, job_id).state, job_of(gallery, job_id).request) == ("erased", None)


def test_a_job_that_would_speak_of_somebody_erased_meanwhile_runs_again(gallery, runner):
    gallery.enrol(EVERYONE, [crop("a")], fields("ada"))
    work = work_of(runner)
    work.outcome = Outcome({"who": "ada"}, mentions=frozenset(["ada"]))
    job_id = runner.start(EVERYONE, "work", {}).value.job_id
    assert work.begun.wait(DEADLINE_S)
    gallery.erase_person(EVERYONE, "ada")
    work.go.set()
    failed = ended(gallery, job_id)  # this kind never notices that ada is gone
    assert (failed.state, failed.result, len(work.attempts)) == ("failed", None, MOST_ATTEMPTS)


def test_a_job_is_seen_by_keys_that_could_have_started_it(gallery, runner):
    work_of(runner).go.set()
    everything = runner.start(EVERYONE, "work", {}).value.job_id
    north = runner.start(NORTH, "work", {}).value.job_id
    seen = {
        (frozenset(["read"]), None): [north, everything],
        (frozenset(["erase"]), None): [],
        (frozenset(["read"]), frozenset(["north"])): [north],
        (frozenset(["read"]), frozenset(["north", "south"])): [north],
        (frozenset(["read"]), frozenset(["south"])): [],
    }
    with gallery.store.reading() as reading:
        for (scopes, cameras), expected in seen.items():
            page = table.list_jobs(reading, table.Viewer(scopes, cameras), None, 10)
            assert [job.job_id for job in page.records] == expected


def test_too_many_jobs_are_refused(gallery, runner):
    for _ in range(MOST_OPEN):
        runner.start(EVERYONE, "work", {})
    with pytest.raises(Exception, match="at most 64 jobs"):
        runner.start(EVERYONE, "work", {})


def test_jobs_are_listed_page_by_page_and_removed_over_http(service):
    service.enrol(1, person_id="ada", camera_id="north")
    made = []
    for number in range(3):
        answer = service.client.post("/v1/evaluations", json={"domain": f"number {number}"})
        assert answer.status_code == 202, answer.text
        assert answer.headers["Location"] == f"/v1/jobs/{answer.json()['job_id']}"
        made.append(answer.json()["job_id"])
    first = service.get("/v1/jobs", limit=2)
    second = service.get("/v1/jobs", limit=2, cursor=first["next_cursor"])
    assert [job["job_id"] for job in first["jobs"] + second["jobs"]] == made[::-1]
    wait_until(lambda: service.get(f"/v1/jobs/{made[2]}")["state"] == "failed")
    assert "at least 2 sightings each, got none" in service.get(f"/v1/jobs/{made[2]}")["reason"]
    assert service.client.delete(f"/v1/jobs/{made[2]}").json()["state"] == "forgotten"
    service.get(f"/v1/jobs/{made[2]}", expect=404)
    assert service.client.delete(f"/v1/jobs/{made[2]}").status_code == 404


def test_the_same_request_starts_one_job(service):
    headers = {"Idempotency-Key": "once"}
    one, two = (service.client.post("/v1/evaluations", json={}, headers=headers) for _ in range(2))
    assert one.json() == two.json()
    assert two.headers["Idempotency-Replayed"] == "true"
    assert len(service.get("/v1/jobs")["jobs"]) == 1


def test_jobs_survive_the_service(tmp_path, embedder):
    settings = Settings(home=tmp_path / "home", auth="off")
    core = Core.over(settings, embedder)
    job_id = core.jobs.start(Actor("local"), "evaluate", {}).value.job_id
    core.close()
    core = Core.over(settings, embedder)
    assert ended(core.gallery, job_id).state == "failed"
    core.close()


def test_a_store_that_refuses_for_a_while_holds_jobs_up_and_loses_none(gallery, monkeypatch):
    """While its table is away the store refuses: to take a job up, and to write how one ended."""

    def rename(old, new):
        gallery.store.write(lambda writing: writing.connection.execute(f"ALTER TABLE {old} RENAME TO {new}"))

    refused = threading.Event()
    monkeypatch.setattr(runner_module, "RETRY_S", 0.01)
    monkeypatch.setattr(runner_module._LOG, "error", lambda *_: refused.set())
    work = Work()
    runner = JobRunner(gallery, {"work": Kind("read", work)})
    try:
        job_id = runner.start(EVERYONE, "work", {}).value.job_id
        assert work.begun.wait(DEADLINE_S)
        rename("jobs", "away")
        work.go.set()
        assert refused.wait(DEADLINE_S)
        rename("away", "jobs")
        assert ended(gallery, job_id).state == "done"
        rename("jobs", "away")
        refused.clear()
        runner._due.set()
        assert refused.wait(DEADLINE_S)
        rename("away", "jobs")
        assert ended(gallery, runner.start(EVERYONE, "work", {}).value.job_id).state == "done"
    finally:
        work.go.set()
        runner.close()


def test_an_outcome_that_cannot_be_written_fails_that_job_and_not_the_next(gallery, runner):
    work = work_of(runner)
    work.go.set()
    work.outcome = Outcome({"answer": object()})  # no JSON
    failed = ended(gallery, runner.start(EVERYONE, "work", {}).value.job_id)
    assert (failed.state, failed.reason) == ("failed", "the service failed; its log says more")
    work.outcome = Outcome({"answer": 42})
    assert ended(gallery, runner.start(EVERYONE, "work", {}).value.job_id).state == "done"
