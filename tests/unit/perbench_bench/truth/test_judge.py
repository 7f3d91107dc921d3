"""When a reported figure is spoiled."""

import pytest

from perbench_bench.truth.judge import rate_error


@pytest.mark.parametrize(
    ("ours", "theirs", "spoiled"), [(20, 20, False), (19, 20, False), (21, 20, False), (18, 20, True), (22, 20, True)]
)
def test_one_request_at_the_edge_of_a_short_window_is_no_matter(ours: int, theirs: int, spoiled: bool) -> None:
    """20 requests in 0.8 s: one of them is 5 %, and whether it ended in the window hangs on microseconds."""
    assert (rate_error(ours / 0.8, theirs / 0.8, 0.8).severity > 1) is spoiled


def test_of_many_requests_one_in_twenty_is() -> None:
    assert rate_error(191 / 2, 200 / 2, 2.0).severity < 1
    assert rate_error(189 / 2, 200 / 2, 2.0).severity > 1
