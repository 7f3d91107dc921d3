"""Looks put together: what is in none of them any more has ended."""

import io

from perbench.live.exposition import Reading, read_page
from perbench.live.watch import Look, watch
from tests.support.live_pages import page


def test_a_pod_that_a_later_look_lacks_is_shown_as_gone() -> None:
    looks = iter(
        [
            Look(("one",), {"a0": read_page(page(requests=4, in_flight=9, model="gone"), 0.0)}),
            Look(("two",), {"a1": read_page(page(requests=4, in_flight=7, model="here"), 1.0)}),
        ]
    )
    out = io.StringIO()
    watch(lambda: next(looks), 0.01, out, None)
    rows = {line.split("/")[0]: line.split() for line in out.getvalue().splitlines()[2:4]}
    assert (rows["gone"][4], rows["here"][4]) == ("-", "7")


def test_a_pipe_gets_one_picture_of_a_run_that_is_over() -> None:
    pages: dict[str, Reading | None] = {}
    out = io.StringIO()
    watch(lambda: Look(("ml/night: Succeeded",), pages, over=True), 60.0, out, "xterm")
    assert out.getvalue().startswith("ml/night: Succeeded\n")
