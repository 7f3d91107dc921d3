import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from perbench import cli
from tests.support.per_rows import STUDY

HEADER = "task,kind,model,accuracy,throughput,latency_ms,memory_mb"
FOUR = ["t,generation,a,0.4,400,5,1000", "t,generation,b,0.6,200,8,2000", "t,generation,c,0.8,100,20,4000"]
LAST = "t,generation,d,0.9,40,60,9000"

Perbench = Callable[..., tuple[int, str, str]]


@pytest.fixture
def perbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Perbench:
    """Runs the command line in this process; gives exit code, standard output and standard error."""
    monkeypatch.setattr(cli, "COMMANDS", ("score", "load"))  # an app of a single command would have no subcommands

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["perbench", *map(str, arguments)])
        with pytest.raises(SystemExit) as exited:
            cli.main()
        captured = capsys.readouterr()
        return int(exited.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: str, header: str = HEADER) -> Path:
        path = tmp_path / "t.csv"
        path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
        return path

    return write


def test_json_of_the_study(perbench: Perbench) -> None:
    code, out, err = perbench("score", STUDY, "--json")
    entries = json.loads(out)
    assert (code, err, len(entries)) == (0, "", 80)
    assert entries[1] == {
        "task": "gsm8k",
        "model": "Qwen2.5-1.5B",
        "per": pytest.approx(0.66197, abs=1e-5),
        "reference_per": pytest.approx(0.64356, abs=1e-5),
        "pareto_optimal": True,
        "stability": {
            "flips": 12,
            "flips_without": 0,
            "per_low": pytest.approx(0.6506, abs=1e-4),
            "per_high": pytest.approx(0.7956, abs=1e-4),
        },
        "published": 0.6617,
        "mismatch": False,
    }
    assert {type(value) for entry in entries for key, value in entry.items() if key in {"per", "reference_per"}} == {
        float
    }
    mismatched = [(entry["task"], entry["model"]) for entry in entries if entry["mismatch"]]
    assert mismatched == [
        ("gsm8k", "Mistral-7B"),
        ("squad2", "Qwen2.5-32B"),
        ("squad2", "Llama-3.1-70B"),
        ("hellaswag", "Gemma-2-2B"),
        ("arc-easy", "Vicuna-13B"),
    ]


def test_stability_of_the_study(perbench: Perbench) -> None:
    entries = json.loads(perbench("score", STUDY, "--json")[1])
    flips = {entry["task"]: entry["stability"]["flips"] for entry in entries}
    assert flips == {"gsm8k": 12, "squad2": 22, "hellaswag": 21, "imdb": 11, "arc-easy": 5}
    for task, total in flips.items():
        assert sum(entry["stability"]["flips_without"] for entry in entries if entry["task"] == task) == total
    smallest = next(e["stability"] for e in entries if (e["task"], e["model"]) == ("squad2", "Qwen2.5-0.5B"))
    assert smallest["per_low"] == 0


def test_json_without_a_per_column_compares_nothing(perbench: Perbench, table: Callable[..., Path]) -> None:
    entries = json.loads(perbench("score", table(*FOUR, LAST), "--json")[1])
    assert set(entries[0]) == {"task", "model", "per", "reference_per", "pareto_optimal", "stability"}


def test_json_of_what_is_absent_is_null_and_why_goes_to_standard_error(
    perbench: Perbench, table: Callable[..., Path]
) -> None:
    path = table(
        *(f"{line},x,{per}" for line, per in zip(FOUR, ("", 0.3, 0), strict=True)), header=f"{HEADER},note,per"
    )
    code, out, err = perbench("score", path, "--json", "--quality-floor", "0.5")
    entries = json.loads(out)
    assert code == 0
    assert [entry["per"] for entry in entries] == [None] * 3
    assert [entry["reference_per"] is None for entry in entries] == [True, False, False]
    assert [entry["published"] for entry in entries] == [None, 0.3, 0]
    assert [entry["mismatch"] for entry in entries] == [None] * 3
    assert [entry["stability"] for entry in entries] == [None] * 3
    few = "fewer than four models are compared, so a place between worst and best says little"
    assert err.splitlines() == [
        f"perbench: t: no PER for all models: {few} (TooFewModels)",
        "perbench: t: no Reference PER for a: accuracy below the quality floor (BelowQualityFloor)",
        "perbench: columns not used: note",
    ]


def test_the_study_as_text(perbench: Perbench) -> None:
    code, out, err = perbench("score", STUDY)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    lines = out.splitlines()
    assert "12  Qwen2.5-72B        0.198  yes         0  0 (worst on memory)" in lines
    assert " 1  Qwen2.5-0.5B       1.000  yes         0  0 (worst on accuracy)" in lines
    assert lines[0] == "gsm8k (generation): 16 models, reference Qwen2.5-0.5B"
    assert "Over all removals of one model, 12 pairs change places on PER." in lines
    assert "Best: Qwen2.5-0.5B, first in 5 of 5 tasks on the reference scale" in out
    assert lines[-6:] == [
        "5 of 80 cells differ from the table's own PER by more than 0.015:",
        "  gsm8k / Mistral-7B: 0.514 (table: 0.2837)",
        "  squad2 / Qwen2.5-32B: 0.299 (table: 0)",
        "  squad2 / Llama-3.1-70B: 0.000 (table: 0.03)",
        "  hellaswag / Gemma-2-2B: 0.559 (table: 0.53)",
        "  arc-easy / Vicuna-13B: 0.000 (table: 0.04)",
    ]


def test_reference_and_floor(perbench: Perbench, table: Callable[..., Path]) -> None:
    path = table(*FOUR, LAST)
    entries = json.loads(perbench("score", path, "--json", "--reference", "c", "--quality-floor", "0.6")[1])
    assert [entry["reference_per"] for entry in entries] == [
        None,
        pytest.approx((0.75 * 2 * 2 * 2.5) ** 0.25),
        1,
        pytest.approx((1.125 * 0.4 * (4 / 9) / 3) ** 0.25),
    ]
    out = perbench("score", path, "--reference", "c", "--quality-floor", "0.6")[1]
    assert "t (generation): 4 models, reference c" in out
    assert "Best: b, first in 1 of 1 task on the reference scale (geometric mean 1.655).\n" in out


def test_long_names_and_markup_stay_text_and_within_80_columns(perbench: Perbench, table: Callable[..., Path]) -> None:
    name = "organisation/a-model-with-a-very-long-name-that-goes-on-Instruct-[bold]Q4_K_M[/bold]"
    path = table(*FOUR, LAST.replace(",d,", f",{name},"))
    out = perbench("score", path)[1]
    assert max(map(len, out.splitlines())) <= 80
    lines = out.splitlines()
    start = next(i for i, line in enumerate(lines) if "organisation/" in line)
    assert "".join(line[3:30].split(" ")[0] for line in lines[start : start + 4]).startswith(name)


def test_an_axis_left_out_is_said(perbench: Perbench, table: Callable[..., Path]) -> None:
    path = table(*FOUR, "t,generation,d,0.9,40,60,")
    out = perbench("score", path)[1]
    assert "t: memory left out for all: not measured for d (NotMeasured)\n" in out
    assert "table's own PER" not in out


def test_a_failed_reference_is_said(perbench: Perbench, table: Callable[..., Path]) -> None:
    out = perbench("score", table(*FOUR, "t,generation,d,,,,"), "--reference", "d")[1]
    assert "no Reference PER for a, b, c: the reference model has no figures" in out
    assert "No best model: none is ranked on every task." in out


def test_no_word_on_the_stability_of_a_per_that_is_not_given(perbench: Perbench, table: Callable[..., Path]) -> None:
    # Without c, the memory of a and b is unresolved and their order turns round.
    rows = ["t,,a,0.5,100,10,100", "t,,b,0.5,103,10,101", "t,,c,0.5,10,10,104"]
    assert "removals" not in perbench("score", table(*rows))[1]
    more = "t,,d,0.5,10,10,104"
    assert "removals" not in perbench("score", table(*rows, more))[1]  # d keeps the ends where they are
    assert "1 pair changes places" in perbench("score", table(*rows, more.replace("104", "100.5")))[1]


def test_agreement_is_said(perbench: Perbench, table: Callable[..., Path]) -> None:
    out = perbench("score", table(f"{FOUR[0]},0", *(f"{line}," for line in (*FOUR[1:], LAST)), header=HEADER + ",per"))[
        1
    ]
    assert "Of 1 cells all agree with the table's own PER within 0.015.\n" in out
    out = perbench("score", table(f"{FOUR[0]},0", header=HEADER + ",per"))[1]
    assert "The table's own PER could not be compared: no cell has both values.\n" in out


@pytest.mark.parametrize(
    ("lines", "arguments", "complaint"),
    [
        ([FOUR[0].replace("0.4", "x")], (), "{path}:2: accuracy 'x' is not a number; "),
        ([FOUR[0], FOUR[0]], (), "{path}:3: t / a is already in line 2; "),
        ([], (), "{path}: has column names and no rows; "),
        (FOUR, ("--reference", "z"), "{path}: has no model 'z' for --reference; "),
        (FOUR, ("--quality-floor", "2"), "--quality-floor 2.0 is not within 0 to 1; "),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    perbench: Perbench, table: Callable[..., Path], lines: list[str], arguments: tuple[str, ...], complaint: str
) -> None:
    path = table(*lines)
    code, out, err = perbench("score", path, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("perbench: " + complaint.format(path=path))
    assert err.count("\n") == 1


def test_a_missing_file_is_one_line_and_exit_code_2(perbench: Perbench, tmp_path: Path) -> None:
    path = tmp_path / "gone.csv"
    code, out, err = perbench("score", path)
    assert (code, out) == (2, "")
    said = "cannot be read: No such file or directory; give the path of a CSV table or a results.json"
    assert err == f"perbench: {path}: {said}\n"
