"""The table for a terminal: it fits, and what comes from elsewhere cannot move the cursor."""

import io

from rich.console import Console

from perbench.live.exposition import read_page
from perbench.live.figures import History
from perbench.live.view import bars, screen
from tests.support.golden import ROOT, assert_golden
from tests.support.live_pages import page


def drawn(columns: int, *, model: str = "small", head: str = "ml/night: Measuring  3/8") -> str:
    history = History()
    for at in range(5):
        text = page(requests=40 * at, failed=at, tokens=900 * at * at, model=model)
        history.add("pod", read_page(text, 2.0 * at))
    history.add("old", read_page(page(requests=80, tokens=4000, progress=1.0, model="large"), 0.0))
    history.missed({"pod"})
    out = io.StringIO()
    Console(file=out, width=columns, color_system=None).print(screen((head,), history.rows(), columns))
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def test_it_fits_a_narrow_terminal() -> None:
    text = drawn(100)
    assert_golden(ROOT / "live" / "narrow.txt", text)
    assert max(map(len, text.splitlines())) <= 100


def test_a_wide_one_shows_how_tokens_came() -> None:
    assert_golden(ROOT / "live" / "wide.txt", drawn(160))


def test_names_are_cleaned_and_cut() -> None:
    text = drawn(100, model="x\\n[red]" + "y" * 60, head="\x1b[2Jboo")
    assert "\x1b" not in text
    assert "[red]" in text
    assert max(map(len, text.splitlines())) <= 100


def test_bars_reach_from_nothing_to_the_largest() -> None:
    assert bars((0.0, 1.0, 2.0, 4.0)) == "▁▃▅█"
    assert bars((0.0, 0.0)) == "▁▁"
    assert bars(()) == ""
