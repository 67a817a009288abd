"""Retention: sightings go when their rules say so, from the disk too, and no others."""

from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.gallery.errors import FilterError, ForbiddenError, NotFoundError
from service.gallery.records import Actor, Moment, RetentionRule, SightingFields, new_id
from service.gallery.retention import RetentionRunner
from service.gallery.sqlite import jobs
from tests.service.gallery.conftest import EVERYONE, crop, files, kept, open_gallery, wait_until

NOW = Moment(1_000_000_000)
RULES = st.builds(
    RetentionRule,
    max_age_s=st.integers(1, 20),
    camera_id=st.sampled_from([None, "north", "south"]),
    known=st.sampled_from([None, True, False]),
)
SIGHTINGS = st.tuples(
    st.integers(0, 21), st.sampled_from([None, "north", "south"]), st.sampled_from([None, "ada", "bob"])
)


def seen(age_s: float, camera_id: str | None = None, person_id: str | None = None) -> SightingFields:
    return SightingFields(Moment(int(NOW.us - age_s * 1_000_000)), person_id, camera_id)


def expired(rules: list[RetentionRule], age_s: int, camera_id: str | None, person_id: str | None) -> bool:
    """The slow oracle."""
    return any(
        age_s > rule.max_age_s
        and rule.camera_id in (None, camera_id)
        and (rule.known is None or rule.known == (person_id is not None))
        for rule in rules
    )


@given(
    rules=st.lists(RULES, max_size=3, unique_by=lambda rule: (rule.camera_id, rule.known)),
    sightings=st.lists(SIGHTINGS, max_size=6),
)
@settings(max_examples=25)
def test_what_the_rules_want_gone_goes_and_nothing_else(tmp_path_factory, rules, sightings):
    home = tmp_path_factory.mktemp("home")
    gallery = open_gallery(home)
    for number, one in enumerate(sightings):
        gallery.enrol(EVERYONE, [crop(f"{number}")], seen(*one))
    gallery.set_retention(EVERYONE, rules)
    done = gallery.apply_retention(NOW)
    left = [crop(f"{number}").jpeg for number, one in enumerate(sightings) if not expired(rules, *one)]
    assert (done.value, done.pending) == (len(sightings) - len(left), ())
    assert (gallery.sightings_indexed, kept(home)) == (len(left), set(left))
    assert gallery.apply_retention(NOW).value == 0
    gallery.close()


def test_what_went_is_gone_from_every_file_and_rules_outlive_the_gallery(gallery, tmp_path, monkeypatch):
    monkeypatch.setattr("service.gallery.expiry._DELETED_AT_ONCE", 7)
    for number in range(30):
        gallery.enrol(EVERYONE, [crop(f"old {number}")], replace(seen(50), metadata={"note": f"note<{number}>"}))
    gallery.enrol(EVERYONE, [crop("young")], seen(3))
    rules = (RetentionRule(10, known=False), RetentionRule(5, "north"))
    assert gallery.set_retention(EVERYONE, rules).value == rules
    assert gallery.apply_retention(NOW).value == 30
    assert [name for name, data in files(tmp_path).items() if b"note<" in data or b"of old" in data] == []
    gallery.close()
    again = open_gallery(tmp_path)
    with again.reading(EVERYONE) as reading:
        assert reading.retention() == rules
        assert [line.action for line in reading.audit(None, 6).records] == [*["retention"] * 5, "set retention"]
    again.close()


def test_rules_that_make_no_sense_are_refused(gallery):
    with pytest.raises(FilterError, match="at least 1 s, got 0"):
        gallery.set_retention(EVERYONE, [RetentionRule(0)])
    with pytest.raises(FilterError, match="one rule for the same camera"):
        gallery.set_retention(EVERYONE, [RetentionRule(1), RetentionRule(2)])
    with pytest.raises(ForbiddenError):
        gallery.set_retention(Actor("limited", frozenset(["north"])), [])
    assert gallery.apply_retention(NOW).value == 0


def test_the_runner_applies_rules_that_are_set_while_it_runs(gallery):
    gallery.enrol(EVERYONE, [crop("a")], seen(0))
    runner = RetentionRunner(gallery, every_s=0.01)
    gallery.set_retention(EVERYONE, [RetentionRule(60)])
    wait_until(lambda: gallery.sightings_indexed == 0)
    runner.close()


def test_the_runner_outlives_archives_that_cannot_be_looked_for(gallery, tmp_path, caplog):
    (tmp_path / "archives").rmdir()
    gallery.enrol(EVERYONE, [crop("a")], seen(0))
    runner = RetentionRunner(gallery, every_s=0.01)
    try:
        wait_until(lambda: "will be tried again: archives could not be looked for" in caplog.text)
        gallery.set_retention(EVERYONE, [RetentionRule(60)])
        wait_until(lambda: gallery.sightings_indexed == 0)
    finally:
        (tmp_path / "archives").mkdir()
        runner.close()


def test_jobs_that_ended_long_ago_are_forgotten_without_another_being_asked_for(gallery):
    """A report holds pictures of people."""

    def ended(days_ago, writing):
        job = jobs.add_job(writing, EVERYONE, "evaluate", "read", {}, (), new_id())
        jobs.end(writing, job, "failed", "for the test")
        at_us = Moment.now().us - round(days_ago * 86_400_000_000)
        writing.connection.execute("UPDATE jobs SET ended_at_us = ? WHERE job_id = ?", (at_us, job.job_id))
        return job.job_id

    old, young = (gallery.store.write(partial(ended, days)) for days in (jobs.KEPT_DAYS + 0.1, jobs.KEPT_DAYS - 0.1))
    runner = RetentionRunner(gallery)
    wait_until(lambda: not _is_kept(gallery, old))
    runner.close()
    assert _is_kept(gallery, young)


def _is_kept(gallery, job_id):
    with gallery.store.reading() as reading:
        try:
            jobs.find_job(reading, job_id)
        except NotFoundError:
            return False
    return True
