"""The filter in SQL against the filter as api.md says it, one sighting at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.search import ExactIndex, View
from service.gallery.errors import FilterError
from service.gallery.filters import Filter
from service.gallery.records import Actor, Moment, Sighting, SightingFields
from service.gallery.search import Query, Searcher, Terms
from tests.service.gallery.conftest import BUNDLE, DIMENSION, EVERYONE, crop, looking_like, open_gallery

CAMERAS = ["north", "south", "%_'"]
PERSONS = ["ada", "bob", "Ada"]
TRACKLETS = ["t1", "t2"]
TAGS = ["red", "staff"]
PERSON_TAGS = {"ada": {"staff"}, "bob": set(), "Ada": {"red", "staff"}}


def some(values: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from([*values, "nobody"]), max_size=2, unique=True).map(tuple)


@st.composite
def filters(draw) -> Filter:
    since = draw(st.none() | st.integers(0, 20))
    until = draw(st.none() | st.integers((since or 0) + 1, 22))
    return Filter(
        cameras=draw(some(CAMERAS)),
        not_cameras=draw(some(CAMERAS)),
        since_us=since,
        until_us=until,
        persons=draw(some(PERSONS)),
        not_persons=draw(some(PERSONS)),
        tags=draw(some(TAGS)),
        attributes=draw(st.just({}) | st.just({}) | st.just({"hat": "yes"})),
        tracklets=draw(some(TRACKLETS)),
        exclude_tracklets=draw(some(TRACKLETS)),
        known=draw(st.none() | st.booleans()),
    )


def lets_through(wanted: Filter, sighting: Sighting, cameras: frozenset[str] | None = None) -> bool:
    """The slow oracle. A caller limited to cameras cannot ask by the tags of people."""
    tags = set(sighting.tags)
    if cameras is None:
        tags |= PERSON_TAGS.get(sighting.person_id or "", set())
    return all(
        [
            not wanted.cameras or sighting.camera_id in wanted.cameras,
            sighting.camera_id not in wanted.not_cameras,
            wanted.since_us is None or sighting.captured_at.us >= wanted.since_us,
            wanted.until_us is None or sighting.captured_at.us < wanted.until_us,
            not wanted.persons or sighting.person_id in wanted.persons,
            sighting.person_id not in wanted.not_persons,
            set(wanted.tags) <= tags,
            all(sighting.attributes.get(name) == label for name, label in wanted.attributes.items()),
            not wanted.tracklets or sighting.tracklet_id in wanted.tracklets,
            sighting.tracklet_id not in wanted.exclude_tracklets,
            wanted.known is None or wanted.known == (sighting.person_id is not None),
        ]
    )


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    gallery = open_gallery(tmp_path_factory.mktemp("filled"))
    for person_id, tags in PERSON_TAGS.items():
        gallery.add_person(EVERYONE, person_id, None, tuple(tags), {})
    rng = np.random.default_rng(5)
    for number in range(60):
        fields = SightingFields(
            captured_at=Moment(int(rng.integers(0, 20))),
            person_id=rng.choice([*PERSONS, None]),
            camera_id=rng.choice([*CAMERAS, None]),
            tracklet_id=rng.choice([*TRACKLETS, None]),
            tags=tuple(tag for tag in TAGS if rng.random() < 0.4),
        )
        gallery.enrol(EVERYONE, [crop(f"{number}")], fields)
    yield gallery
    gallery.close()


@given(wanted=filters(), cameras=st.none() | st.frozensets(st.sampled_from(CAMERAS), min_size=1))
@settings(max_examples=300)
def test_lists_and_searches_are_filtered_alike_and_as_the_oracle_says(filled, wanted, cameras):
    with filled.reading(EVERYONE) as reading:
        everything = reading.sightings(Filter(), 0, 1000).records
    expected = [
        sighting.row
        for sighting in everything
        if lets_through(wanted, sighting, cameras) and (cameras is None or sighting.camera_id in cameras)
    ]
    actor = Actor("limited", cameras)
    with filled.reading(actor) as reading:
        assert reading.rows(wanted).tolist() == expected
        assert [sighting.row for sighting in reading.sightings(wanted, 0, 1000).records] == expected
    query = Query(embeddings=crop("somebody").embedding.astype(np.float32)[None])
    (result,), _ = filled.search(actor, [(query, Terms(filter=wanted, top_k=60))])
    assert sorted(match.sighting.row for match in result.matches) == expected
    assert result.searched == len(expected)


@given(wanted=filters(), limit=st.integers(1, 13))
@settings(max_examples=60)
def test_pages_joined_are_the_whole_list(filled, wanted, limit):
    with filled.reading(EVERYONE) as reading:
        whole = reading.sightings(wanted, 0, 1000).records
        pages, after = [], 0
        while after is not None:
            page = reading.sightings(wanted, after, limit)
            assert len(page.records) == limit or page.next_row is None
            pages += page.records
            after = page.next_row
    assert pages == whole


@given(wanted=filters(), top_k=st.integers(1, 8))
@settings(max_examples=100)
def test_grouped_by_person_only_the_best_of_each_is_left(filled, wanted, top_k):
    query = Query(embeddings=crop("somebody").embedding.astype(np.float32)[None])
    (single,), _ = filled.search(EVERYONE, [(query, Terms(filter=wanted, top_k=60))])
    seen: set[object] = set()
    expected = []
    for match in single.matches:
        group = match.sighting.person_id or match.sighting.sighting_id
        if group not in seen:
            expected.append(match)
        seen.add(group)
    (grouped,), _ = filled.search(EVERYONE, [(query, Terms(filter=wanted, top_k=top_k, group_by="person"))])
    assert grouped.matches == expected[:top_k]
    assert grouped.searched == single.searched


@given(data=st.data())
@settings(max_examples=60)
def test_queries_of_one_call_are_answered_as_if_each_were_alone(filled, data):
    """Some of the same filter, some made of sightings that are then none of their matches."""
    some = data.draw(st.lists(filters(), min_size=1, max_size=2))
    texts, people = st.sampled_from("abcde"), st.sampled_from(PERSONS)
    query = st.one_of(texts.map(looking_like), people.map(lambda person: Query(stored=Filter(persons=(person,)))))
    terms = st.builds(
        Terms, st.sampled_from(some), st.integers(1, 9), st.sampled_from(["sighting", "person"]), rerank=st.booleans()
    )
    asked = data.draw(st.lists(st.tuples(query, terms), min_size=2, max_size=7))
    together, _ = filled.search(EVERYONE, asked)
    assert together == [filled.search(EVERYONE, [one])[0][0] for one in asked]


class CountingView(View):
    """Writes down how deep each search went, and of how many queries it was."""

    def __init__(self, view: View) -> None:
        super().__init__(view.dimension, view.layout, view.length)
        self.depths: list[int] = []
        self.batches: list[int] = []

    def search(self, queries, top_k, keep=None):
        self.depths.append(top_k)
        self.batches.append(len(queries))
        return super().search(queries, top_k, keep)


def test_fewer_people_than_asked_for_cost_a_look_at_each_and_not_at_each_sighting(tmp_path):
    gallery = open_gallery(tmp_path)
    for name in ("ada", "bob"):
        gallery.enrol(EVERYONE, [crop(f"{name} {number}") for number in range(300)], SightingFields(Moment(0), name))
    index = ExactIndex(DIMENSION)
    query = Query(embeddings=crop("somebody").embedding.astype(np.float32)[None])
    with gallery.reading(EVERYONE) as reading:
        for rows, vectors in reading.all_vectors(BUNDLE, DIMENSION, after_row=0):
            index.add(rows, vectors)
        view = CountingView(index.view())
        (result,) = Searcher(reading, view, BUNDLE).search([(query, Terms(top_k=5, group_by="person"))])
    assert sorted(match.sighting.person_id for match in result.matches) == ["ada", "bob"]
    assert result.searched == 600
    assert set(view.depths) == {5}
    assert len(view.depths) <= 3
    gallery.close()


def test_queries_of_one_filter_go_to_the_index_as_one_batch(gallery):
    gallery.enrol(EVERYONE, [crop(text) for text in "abcdefgh"], SightingFields(Moment(0), "ada", "north"))
    everywhere, north = Terms(top_k=3), Terms(Filter(cameras=("north",)), top_k=2)
    asked = [(looking_like("a"), everywhere), (looking_like("b"), north), (looking_like("c"), everywhere)]
    with gallery.reading(EVERYONE) as reading:
        view = CountingView(gallery._active.index.view())
        results = Searcher(reading, view, BUNDLE).search(asked)
    assert (view.batches, view.depths) == ([2, 1], [3, 2])
    assert [len(result.matches) for result in results] == [3, 2, 3]


@pytest.mark.parametrize(("since", "until"), [(5, 5), (6, 5)])
def test_a_time_range_that_holds_nothing_is_refused(since, until):
    with pytest.raises(FilterError, match="`since` before `until`"):
        Filter(since_us=since, until_us=until)
