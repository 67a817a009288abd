import pytest

from trainer.progress import mapped


def test_results_come_in_order() -> None:
    assert mapped(lambda number: number * number, range(5), 5, "squares") == [0, 1, 4, 9, 16]


def test_an_error_leaves_no_bar_behind() -> None:
    """A bar that outlived its work would hold the next one up for ever."""

    def fail(number: int) -> int:
        raise ValueError(f"not {number}")

    for _ in range(20):
        with pytest.raises(ValueError, match="not 0"):
            mapped(fail, range(3), 3, "failing")
    assert mapped(lambda number: number, range(3), 3, "after") == [0, 1, 2]
