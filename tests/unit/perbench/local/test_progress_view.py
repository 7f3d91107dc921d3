import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from perbench.failures import Blame, Failure
from perbench.local.progress_view import LiveView, PlainView, Shape, StageClock, View, choose_view, failure_text
from perbench.progress import Progress, StagePhase
from perbench.schedule import Launch

LAUNCH = Launch("one-slot", 1, 0)
SHAPE = Shape(rounds=3, repeats=1, requests=48)
FAILURE = Failure(blame=Blame.TARGET, reason="ServerExited", message="ended with 1\n  no memory \x1b[31m\n", model="m")


def line(phase: StagePhase, completed: int, task: str = "topics", repeat: int = 0) -> Progress:
    return Progress(task=task, repeat=repeat, phase=phase, completed=completed, total=24)


def play(view: View) -> None:
    with view:
        view.starting(LAUNCH, endpoint=False)
        view.ready(LAUNCH, 0.62)
        for phase, completed in [
            (StagePhase.WARMUP, 0),
            (StagePhase.MEASURING, 0),
            (StagePhase.MEASURING, 12),
            (StagePhase.FINISHING, 24),
            (StagePhase.RECORDED, 24),
        ]:
            view.progressed(LAUNCH, line(phase, completed))
        view.ended(LAUNCH, None, 185.0)
        view.ended(LAUNCH, FAILURE, None)


def ticking(step: float) -> Iterator[float]:
    now = 0.0
    while True:
        yield now
        now += step


def test_plain_output_is_one_line_per_event_without_control_characters() -> None:
    stream = io.StringIO()
    ticks = ticking(4.0)
    play(PlainView(stream, SHAPE, clock=lambda: next(ticks)))
    assert stream.getvalue() == (
        "round 2/3  one-slot  starting\n"
        "round 2/3  one-slot  ready after 0.6 s\n"
        "round 2/3  one-slot  topics: 24 requests\n"
        "round 2/3  one-slot  topics: 24 done, 2.00/s\n"
        "round 2/3  one-slot  done; about 3 minutes left\n"
        "round 2/3  one-slot  failed: ServerExited (Target): no memory  [31m\n"
    )


def test_repeats_are_numbered_where_there_are_several() -> None:
    stream = io.StringIO()
    view = PlainView(stream, Shape(rounds=1, repeats=3, requests=72))
    view.starting(LAUNCH, endpoint=True)
    for repeat in (0, 1):
        view.progressed(LAUNCH, line(StagePhase.WARMUP, 0, repeat=repeat))
        view.progressed(LAUNCH, line(StagePhase.RECORDED, 24, repeat=repeat))
    assert stream.getvalue().splitlines() == [
        "round 2/1  one-slot  endpoint",
        "round 2/1  one-slot  topics 1/3: 24 requests",
        "round 2/1  one-slot  topics 1/3: 24 done",
        "round 2/1  one-slot  topics 2/3: 24 requests",
        "round 2/1  one-slot  topics 2/3: 24 done",
    ]


def live_output(**environment: str) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, _environ={"TERM": "xterm-256color", **environment})
    play(LiveView(console, SHAPE))
    return stream.getvalue()


def test_a_terminal_shows_the_bar_and_keeps_a_line_per_launch() -> None:
    output = live_output()
    assert "24/48" in output
    assert "topics:" in output
    assert "round 2/3  one-slot  done; about 3 minutes left" in output
    assert "failed: ServerExited (Target): no memory" in output


def test_no_color_is_honoured() -> None:
    colours = "\x1b[3"
    assert colours in live_output()
    assert colours not in live_output(NO_COLOR="1").replace(FAILURE.message, "")


def test_what_a_server_says_is_never_a_control_sequence() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, _environ={"TERM": "xterm", "NO_COLOR": "1"})
    view = LiveView(console, SHAPE)
    view.ended(LAUNCH, FAILURE, None)
    view.say("bell \a and [bold]markup[/bold]")
    assert "\x1b[31m" not in stream.getvalue()
    assert "\a" not in stream.getvalue()
    assert "[bold]markup[/bold]" in stream.getvalue()


def test_the_rate_counts_from_the_opening_of_the_window() -> None:
    times = iter([10.0, 14.0])
    clock = StageClock(lambda: next(times))
    clock.starts(line(StagePhase.WARMUP, 0))
    assert clock.rate(line(StagePhase.WARMUP, 0)) is None
    assert clock.rate(line(StagePhase.MEASURING, 2)) is None
    assert clock.rate(line(StagePhase.MEASURING, 10)) == pytest.approx(2.0)


def test_each_stage_counts_for_itself() -> None:
    times = iter([0.0, 100.0, 101.0])
    clock = StageClock(lambda: next(times))
    assert clock.starts(line(StagePhase.MEASURING, 0))
    clock.rate(line(StagePhase.MEASURING, 0))
    assert clock.records(line(StagePhase.RECORDED, 24))
    assert clock.before == 24
    assert clock.starts(line(StagePhase.MEASURING, 0, task="answers"))
    clock.rate(line(StagePhase.MEASURING, 0, task="answers"))
    assert clock.rate(line(StagePhase.MEASURING, 5, task="answers")) == pytest.approx(5.0)


def test_a_failure_is_one_line() -> None:
    assert "\n" not in failure_text(FAILURE)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_only_a_terminal_that_can_redraw_gets_a_bar() -> None:
    assert isinstance(choose_view(Terminal(), SHAPE, "xterm"), LiveView)
    assert isinstance(choose_view(Terminal(), SHAPE, "dumb"), PlainView)
    assert isinstance(choose_view(io.StringIO(), SHAPE, "xterm"), PlainView)
