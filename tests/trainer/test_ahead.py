import threading

import pytest

from reid.threads import available_processors
from trainer.ahead import ahead


def test_results_come_in_order_and_few_are_held() -> None:
    asked: list[int] = []
    changing = threading.Lock()

    def double(item: int) -> int:
        with changing:
            asked.append(item)
        return 2 * item

    step = 2 * available_processors()
    results = ahead(double, range(5 * step + 1), each=2)
    assert next(results) == 0
    assert len(asked) <= step
    assert [0, *results] == [2 * item for item in range(5 * step + 1)]


def test_what_goes_wrong_goes_wrong_where_its_result_would_come() -> None:
    def invert(item: int) -> float:
        return 1 / item

    results = ahead(invert, [2, 4, 0, 1], each=1)
    assert [next(results), next(results)] == [0.5, 0.25]
    with pytest.raises(ZeroDivisionError):
        next(results)
