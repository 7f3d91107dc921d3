"""What `perbench compare` prints: JSON for programs, at most 80 columns for people. Functions of values."""

import io
import json
import math
import textwrap
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from perbench.comparison import (
    Difference,
    Figure,
    ModelComparison,
    Ratio,
    ResultsComparison,
    Side,
    Uncompared,
    Verdict,
)
from perbench.failures import shorten
from perbench.per.measured import Axis
from perbench.per.replicates import Basis
from perbench.per.words import ABSENT
from perbench.report.figures import axes, significant
from perbench.results import Results

WIDTH = 80
MEBIBYTE = 1024 * 1024
NAME_LENGTH = 300
MEASURED = "measured"
UNTOLD = frozenset({Verdict.TOO_FEW_REPEATS, Verdict.NO_RATIO})
"""Of these nothing is shown, and nothing is shown not to be."""

FIGURES = {
    Figure.ACCURACY: "accuracy",
    Figure.THROUGHPUT: "throughput",
    Figure.MEMORY: "memory, MiB",
    Figure.LATENCY: "latency",
    Figure.REFERENCE_PER: "Reference PER",
}
VERDICTS = {
    Verdict.REGRESSED: "worse",
    Verdict.IMPROVED: "better",
    Verdict.NO_DIFFERENCE: "",
    Verdict.TOO_FEW_REPEATS: "too few repeats",
    Verdict.NO_RATIO: "no ratio",
}


def is_comparable(found: ResultsComparison) -> bool:
    """Whether there is anything to say: the two are alike, and have figures of the same models."""
    return not found.refused and bool(found.models or found.lost)


def is_worse(found: ResultsComparison) -> bool:
    """Whether a figure regressed, or a model that was measured has no figures any more."""
    return bool(found.regressed or found.lost)


def why_not(found: ResultsComparison, names: tuple[str, str]) -> str:
    """One line: why the two are not compared."""
    if found.unfinished:
        own = [_clean(name) for side, name in zip(Side, names, strict=True) if side in found.unfinished]
        are, them = ("is", "it") if len(own) == 1 else ("are", "them")
        return f"{' and '.join(own)} {are} not finished: continue {them} first (perbench run FILE)"
    for side, name in zip(Side, names, strict=True):
        for entry in found.untrusted:
            if entry.side is side:
                return f"{_clean(name)}: no figure can be trusted: {entry.reason}: {_clean(entry.message)}"
    both = f"{_clean(names[0])} and {_clean(names[1])} are not compared"
    if not found.refused:
        return f"{both}: no model has figures worth comparing on the same task in both"
    things = "1 thing differs" if len(found.differences) == 1 else f"{len(found.differences)} things differ"
    return f"{both}: {things} on which the figures depend"


def to_json(found: ResultsComparison) -> str:
    """One object. Ratios are candidate / baseline; absent and infinite values are null."""
    document = {
        "comparable": is_comparable(found),
        "regressed": is_worse(found),
        "tolerance_percent": found.tolerance_percent,
        "reference": found.reference,
        "basis": found.basis.value if found.basis else None,
        "unfinished": [side.value for side in found.unfinished],
        "untrusted": [
            {"side": entry.side.value, "reason": entry.reason, "message": entry.message} for entry in found.untrusted
        ],
        "differences": [_difference(entry) for entry in found.differences],
        "remarks": [_difference(entry) for entry in found.remarks],
        "models": [
            {
                "task": entry.task,
                "model": entry.model,
                "verdict": entry.verdict.value,
                "ratios": [_ratio(ratio) for ratio in entry.ratios],
            }
            for entry in found.models
        ],
        "lost_figures": [
            {"task": entry.task, "model": entry.model, "figure": figure.value}
            for entry in found.models
            for figure in entry.lost
        ],
        "uncompared": [
            {"task": entry.task, "model": entry.model, "baseline": entry.baseline, "candidate": entry.candidate}
            for entry in found.uncompared
        ],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def to_text(found: ResultsComparison, names: tuple[str, str], results: tuple[Results, Results]) -> str:
    """What differs; or a table per task, and a sentence."""
    out = io.StringIO()
    console = Console(file=out, width=WIDTH, color_system=None, highlight=False, markup=False, emoji=False)
    for role, name, own in zip(("baseline", "candidate"), names, results, strict=True):
        console.print(Text(f"{role:<10} {_clean(name)}  ({_clean(own.run_id)}, {own.start_time:%Y-%m-%d %H:%M} UTC)"))
    console.print()
    if found.differences:
        console.print(Text("Not compared, since the figures depend on what differs:"))
        _print_pairs(console, [(entry.what, entry.baseline, entry.candidate) for entry in found.differences])
    for task in results[1].tasks:
        entries = [entry for entry in found.models if entry.task == task.name]
        if not entries:
            continue
        throughput, latency = (view.unit for view in axes(task.kind, "unit")[1:3])
        console.print(Text(f"{_clean(task.name)}: throughput in {throughput}, latency in {latency}"))
        console.print(_grid(entries))
        console.print()
    if found.models or found.lost:
        for line in _sentences(found):
            console.print(Text(textwrap.fill(line, WIDTH)))
    elif found.uncompared:
        console.print(Text("No figures to compare (why not in the baseline / in the candidate):"))
        _print_pairs(console, [_why_uncompared(entry) for entry in found.uncompared])
    if found.remarks:
        console.print(Text("What differs besides:"))
        _print_pairs(console, [(entry.what, entry.baseline, entry.candidate) for entry in found.remarks])
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def _grid(entries: Sequence[ModelComparison]) -> Grid:
    grid = Grid(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    grid.add_column("MODEL", overflow="fold", min_width=12, max_width=16)
    grid.add_column("FIGURE", no_wrap=True)
    for header in ("BASELINE", "CANDIDATE", "RATIO"):
        grid.add_column(header, justify="right", no_wrap=True)
    grid.add_column("95 %", no_wrap=True)
    grid.add_column("", overflow="fold")
    for entry in entries:
        for index, ratio in enumerate(entry.ratios):
            grid.add_row(
                Text(_clean(entry.model) if index == 0 else ""),
                FIGURES[ratio.figure],
                _value(ratio, ratio.baseline),
                _value(ratio, ratio.candidate),
                ABSENT if ratio.ratio is None else f"{ratio.ratio:.3f}",
                _interval(ratio),
                VERDICTS[ratio.verdict],
            )
    return grid


def _value(ratio: Ratio, value: float | None) -> str:
    if value is None:
        return ABSENT
    if ratio.figure in {Figure.ACCURACY, Figure.REFERENCE_PER}:
        return f"{value:.3f}"
    return significant(value / MEBIBYTE if ratio.figure is Figure.MEMORY else value)


def _interval(ratio: Ratio) -> str:
    if ratio.interval is None:
        return ""
    high = f"{ratio.interval.high:.3f}" if math.isfinite(ratio.interval.high) else "inf"
    return f"{ratio.interval.low:.3f}-{high}"


def _sentences(found: ResultsComparison) -> Iterator[str]:
    """The verdict; what is not measured any more; what the intervals hold."""
    worse = [_named(entry, Verdict.REGRESSED) for entry in found.regressed]
    limit = f"by more than {found.tolerance_percent:g} %"
    if worse:
        yield f"Worse {limit}: {'; '.join(worse)}."
    elif any(entry.verdict not in UNTOLD for entry in found.models):
        yield f"Nothing is shown to be worse {limit}."
    elif any(entry.verdict is Verdict.NO_RATIO for entry in found.models):
        yield "No figure has an interval: nothing is shown."
    better = [entry for entry in found.models if any(r.verdict is Verdict.IMPROVED for r in entry.ratios)]
    if better:
        yield f"Better {limit}: {'; '.join(_named(entry, Verdict.IMPROVED) for entry in better)}."
    for gone in found.lost:
        yield f"Measured in the baseline, not any more: {_clean(gone.model)} on {_clean(gone.task)} ({gone.candidate})."
    yield from _lost_axes(found.models)
    if few := [entry for entry in found.models if any(r.verdict is Verdict.TOO_FEW_REPEATS for r in entry.ratios)]:
        where = "" if len(few) == len(found.models) else f" for {'; '.join(_place(entry) for entry in few)}"
        yield f"Too few repeats to tell{where}: fewer than three give no interval, and no verdict."
    elif found.basis is Basis.REPEATS:
        yield "The intervals hold what changes within one launch, not what a new start changes."


def _lost_axes(entries: Sequence[ModelComparison]) -> Iterator[str]:
    """What the candidate does not measure any more, and what Reference PER is compared without."""
    for task in dict.fromkeys(entry.task for entry in entries):
        own = [entry for entry in entries if entry.task == task]
        for figure in Figure:
            if models := [_clean(entry.model) for entry in own if figure in entry.lost]:
                yield (
                    f"Measured in the baseline, not any more: {_bare(figure)} of {', '.join(models)} on {_clean(task)}."
                )
        taken = next((ratio.axes for entry in own for ratio in entry.ratios if ratio.axes), ())
        absent = {ratio.figure for entry in own for ratio in entry.ratios if None in (ratio.baseline, ratio.candidate)}
        without = [
            _bare(figure) for figure in FIGURES if figure in absent - {Figure.REFERENCE_PER, *map(_figure, taken)}
        ]
        if taken and without:
            yield (
                f"Reference PER on {_clean(task)} is compared without {' and '.join(without)} in both,"
                " since not every model has it in both."
            )


def _figure(axis: Axis) -> Figure:
    return Figure(axis.value)


def _bare(figure: Figure) -> str:
    """Its name without unit."""
    return FIGURES[figure].partition(",")[0]


def _named(entry: ModelComparison, verdict: Verdict) -> str:
    """A model, its task, and the figures with that verdict."""
    figures = [_bare(ratio.figure) for ratio in entry.ratios if ratio.verdict is verdict]
    return f"{_place(entry)} ({', '.join(figures)})"


def _place(entry: ModelComparison) -> str:
    return f"{_clean(entry.model)} on {_clean(entry.task)}"


def _why_uncompared(entry: Uncompared) -> tuple[str, str, str]:
    return f"{entry.model} on {entry.task}", entry.baseline or MEASURED, entry.candidate or MEASURED


def _print_pairs(console: Console, pairs: Sequence[tuple[str, str, str]]) -> None:
    """What; in the baseline, in the candidate."""
    for what, baseline, candidate in pairs:
        line = f"{_clean(what)}: {_clean(baseline)} / {_clean(candidate)}"
        console.print(Text(textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent="    ")))


def _difference(entry: Difference) -> dict[str, str]:
    return {"what": entry.what, "baseline": entry.baseline, "candidate": entry.candidate}


def _ratio(ratio: Ratio) -> dict[str, str | float | list[str] | None]:
    low, high = (ratio.interval.low, ratio.interval.high) if ratio.interval else (None, None)
    return {
        "figure": ratio.figure.value,
        "baseline": ratio.baseline,
        "candidate": ratio.candidate,
        "ratio": _finite(ratio.ratio),
        "low": _finite(low),
        "high": _finite(high),
        "verdict": ratio.verdict.value,
        **({"axes": [axis.value for axis in ratio.axes]} if ratio.figure is Figure.REFERENCE_PER else {}),
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _clean(text: str) -> str:
    """Names come from files: no control characters reach the terminal."""
    return " ".join(shorten(text, NAME_LENGTH).split())
