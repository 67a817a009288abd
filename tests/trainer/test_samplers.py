import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.samplers import people_batches, shuffled_batches


@given(num_crops=st.integers(1, 60), batch_size=st.integers(1, 20), seed=st.integers(0, 99))
def test_shuffled_batches_deal_every_crop_at_most_once(num_crops: int, batch_size: int, seed: int) -> None:
    batches = list(shuffled_batches(num_crops, batch_size, np.random.default_rng(seed)))
    dealt = np.concatenate([*batches, np.empty(0, dtype=np.int64)])
    assert len(batches) == num_crops // batch_size
    assert len(set(dealt.tolist())) == len(dealt) == len(batches) * batch_size
    assert set(dealt.tolist()) <= set(range(num_crops))


@given(
    crops_each=st.lists(st.integers(1, 6), min_size=4, max_size=12),
    people=st.integers(1, 4),
    crops=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_people_batches_hold_p_people_and_k_crops_of_each(
    crops_each: list[int], people: int, crops: int, seed: int
) -> None:
    labels = np.repeat(np.arange(len(crops_each)), crops_each)
    batches = list(people_batches(labels, people * crops, crops, np.random.default_rng(seed)))
    assert len(batches) == len(labels) // (people * crops)
    for batch in batches:
        chosen, counts = np.unique(labels[batch], return_counts=True)
        assert len(chosen) == people
        assert (counts == crops).all()
        for person in chosen:
            own = batch[labels[batch] == person]
            assert len(set(own.tolist())) == min(crops, crops_each[person]) or crops_each[person] < crops


def test_everyone_comes_before_anyone_comes_again() -> None:
    labels = np.repeat(np.arange(8), 4)
    batches = list(people_batches(labels, 8, 4, np.random.default_rng(0)))
    assert sorted({int(label) for batch in batches for label in labels[batch]}) == list(range(8))


def test_too_few_people_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 4 people for a batch, got 2"):
        list(people_batches(np.array([0, 0, 1, 1]), 4, 1, np.random.default_rng(0)))
