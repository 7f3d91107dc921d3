"""Accuracy over items that were scored."""

import pytest

from perbench.statistics.accuracy import accuracy


@pytest.mark.parametrize(
    ("scores", "items", "expected"),
    [
        ([1.0, 0.0, 0.5, 0.5], 4, 0.5),
        ([1.0] * 99 + [None], 100, 1.0),
        ([1.0] * 98 + [None] * 2, 100, None),
        ([1.0], 2, None),
        ([None], 1, None),
        ([], 0, None),
    ],
)
def test_it_is_given_from_99_percent_of_the_items(
    scores: list[float | None], items: int, expected: float | None
) -> None:
    assert accuracy(scores, items) == expected
