import json
from dataclasses import replace
from pathlib import Path

import pytest

from perbench.cli.compare_text import to_text
from perbench.comparison import Figure, ModelComparison, Ratio, ResultsComparison, Verdict
from perbench.record import to_text as results_text
from perbench.results import Results
from tests.support import results as runs
from tests.support.cli import Perbench, runner
from tests.support.golden import assert_golden
from tests.support.results import FOUR_SLOTS, OUT_OF_MEMORY, failed_model, four_models, model

GOLDEN = Path("tests/golden/compare")


@pytest.fixture
def perbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Perbench:
    return runner(monkeypatch, capsys, "compare", "score")


def slower() -> Results:
    """four-slots takes longer on one task, and less on the other."""
    shapes = {name: replace(FOUR_SLOTS[name], seconds=seconds) for name, seconds in (("answers", 1.9), ("topics", 0.6))}
    models = list(four_models())
    models[1] = model("four-slots", shapes)
    return runs.results(models)


def lost() -> Results:
    """two-threads does not start any more."""
    return runs.results((*four_models()[:3], failed_model("two-threads", OUT_OF_MEMORY)))


def elsewhere() -> Results:
    """On another machine."""
    provenance = {**runs.PROVENANCE, "cpu": "Another CPU, " + "very " * 20 + "fast", "python": "3.13.1"}
    return runs.succeeded().model_copy(update={"provenance": provenance})


def shared() -> Results:
    """On an accelerator that others use as well."""
    own = four_models()
    launches = [[each.model_copy(update={"accelerator": "1 x L4-SHARED"}) for each in entry.launches] for entry in own]
    return runs.results(
        [entry.model_copy(update={"launches": tuple(of)}) for entry, of in zip(own, launches, strict=True)]
    )


def one_repeat() -> Results:
    return runs.results([model(name, FOUR_SLOTS, rounds=1) for name in ("a", "b")], rounds=1)


def three_repeats() -> Results:
    return runs.results([model(name, FOUR_SLOTS, rounds=1, repeats=3) for name in ("a", "b")], rounds=1, repeats=3)


@pytest.fixture
def compared(perbench: Perbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Perbench:
    """Compares two results: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def compare(before: Results, after: Results, *flags: str) -> tuple[int, str, str]:
        for name, results in (("before.json", before), ("after.json", after)):
            Path(name).write_text(results_text(results), encoding="utf-8")
        return perbench("compare", "before.json", "after.json", *flags)

    return compare


@pytest.mark.parametrize(
    ("name", "after", "code"),
    [("same", runs.succeeded, 0), ("slower", slower, 5), ("lost", lost, 5), ("elsewhere", elsewhere, 2)],
)
def test_what_is_printed(compared: Perbench, name: str, after: object, code: int) -> None:
    assert callable(after)
    exit_code, out, err = compared(runs.succeeded(), after())
    assert exit_code == code
    assert max(map(len, out.splitlines())) <= 80
    assert err == (
        ""
        if code != 2
        else "perbench: before.json and after.json are not compared: 1 thing differs on which the figures depend\n"
    )
    assert_golden(Path(__file__).parents[4] / GOLDEN / f"{name}.txt", out)


def test_json_of_a_regression(compared: Perbench) -> None:
    code, out, err = compared(runs.succeeded(), slower(), "--json")
    found = json.loads(out)
    assert (code, err) == (5, "")
    assert (found["comparable"], found["regressed"], found["tolerance_percent"]) == (True, True, 5.0)
    verdicts = {(entry["task"], entry["model"]): entry["verdict"] for entry in found["models"]}
    assert verdicts["answers", "four-slots"] == "Regressed"
    assert verdicts["topics", "four-slots"] == "Improved"
    assert [verdict for verdict in verdicts.values() if verdict != "NoDifference"] == ["Improved", "Regressed"]
    ratios = next(entry for entry in found["models"] if entry["verdict"] == "Regressed")["ratios"]
    speed = next(ratio for ratio in ratios if ratio["figure"] == "throughput")
    assert speed["ratio"] == pytest.approx(1.5 / 1.9)
    assert speed["low"] < speed["ratio"] < speed["high"] < 0.95


def test_json_of_unlike_results_says_what_differs(compared: Perbench) -> None:
    code, out, err = compared(runs.succeeded(), elsewhere(), "--json")
    found = json.loads(out)
    assert code == 2
    assert "not compared" in err
    assert (found["comparable"], found["models"]) == (False, [])
    assert [entry["what"] for entry in found["differences"]] == ["provenance.cpu"]
    assert [entry["what"] for entry in found["remarks"]] == ["provenance.python"]


def test_an_unfinished_run_is_to_be_continued_first(compared: Perbench) -> None:
    advice = "continue it first (perbench run FILE)\n"
    code, out, err = compared(runs.succeeded(), runs.interrupted())
    assert (code, err) == (2, f"perbench: after.json is not finished: {advice}")
    assert "not any more" not in out
    code, _, err = compared(runs.interrupted(), runs.succeeded())
    assert (code, err) == (2, f"perbench: before.json is not finished: {advice}")
    code, out, err = compared(runs.interrupted(), runs.interrupted(), "--json")
    assert (code, err) == (
        2,
        "perbench: before.json and after.json are not finished: continue them first (perbench run FILE)\n",
    )
    found = json.loads(out)
    assert (found["comparable"], found["regressed"]) == (False, False)
    assert found["unfinished"] == ["baseline", "candidate"]
    assert found["uncompared"] == []


def test_a_model_that_nobody_asked_for_is_not_lost(compared: Perbench) -> None:
    code, out, _ = compared(runs.succeeded(), runs.results(four_models()[:3]))
    assert code == 0
    assert "not any more" not in out


def test_an_axis_that_is_not_measured_any_more_is_named(compared: Perbench) -> None:
    def without_memory(task: str) -> Results:
        shapes = {**FOUR_SLOTS, task: replace(FOUR_SLOTS[task], memory_mebibytes=None)}
        models = list(four_models())
        models[1] = model("four-slots", shapes)
        return runs.results(models)

    code, out, _ = compared(runs.succeeded(), without_memory("topics"))
    text = " ".join(out.split())
    assert code == 0
    assert "Measured in the baseline, not any more: memory of four-slots on topics." in text
    assert "Reference PER on topics is compared without memory in both, since not every model has it in both." in text
    assert "Reference PER on answers" not in text
    found = json.loads(compared(runs.succeeded(), without_memory("topics"), "--json")[1])
    assert found["lost_figures"] == [{"task": "topics", "model": "four-slots", "figure": "memory"}]
    axes = {(entry["task"], entry["model"]): entry["ratios"][-1]["axes"] for entry in found["models"]}
    assert axes["topics", "one-slot"] == ["accuracy", "throughput", "latency"]
    assert axes["answers", "one-slot"] == ["accuracy", "throughput", "memory", "latency"]
    _, out, _ = compared(without_memory("topics"), runs.succeeded())
    assert "not any more" not in out
    assert "compared without memory in both" in " ".join(out.split())


def test_a_wider_tolerance_regresses_later(compared: Perbench) -> None:
    assert compared(runs.succeeded(), slower(), "--tolerance", "40")[0] == 0
    code, _, err = compared(runs.succeeded(), slower(), "--tolerance", "100")
    assert code == 2
    assert err == "perbench: --tolerance 100 is not within 0 to 100 %\n"


def test_without_enough_repeats_there_is_no_verdict(compared: Perbench) -> None:
    for before, after in (
        (one_repeat(), one_repeat()),
        (one_repeat(), three_repeats()),
        (three_repeats(), one_repeat()),
    ):
        code, out, _ = compared(before, after)
        assert code == 0
        assert "too few repeats" in out
        assert "Nothing is shown to be worse" not in out
        last = "Too few repeats to tell: fewer than three give no interval, and no verdict."
        assert out.endswith(f"\n\n{last}\n")


def test_the_sentence_names_whom_too_few_repeats_concern() -> None:
    def entry(name: str, verdict: Verdict) -> ModelComparison:
        return ModelComparison("topics", name, (Ratio(Figure.LATENCY, 1.0, 1.0, 1.0, None, verdict),))

    def sentences(*entries: ModelComparison) -> str:
        text = to_text(ResultsComparison((), (), entries), ("a", "b"), (runs.succeeded(), runs.succeeded()))
        return " ".join(text.rpartition("\n\n")[2].split())

    few, same, none = (
        entry(name, verdict)
        for name, verdict in (
            ("few", Verdict.TOO_FEW_REPEATS),
            ("same", Verdict.NO_DIFFERENCE),
            ("none", Verdict.NO_RATIO),
        )
    )
    assert sentences(few, same) == (
        "Nothing is shown to be worse by more than 5 %."
        " Too few repeats to tell for few on topics: fewer than three give no interval, and no verdict."
    )
    assert sentences(none) == "No figure has an interval: nothing is shown."


def test_nothing_in_common_that_was_measured(compared: Perbench) -> None:
    failed = runs.results([failed_model(name, OUT_OF_MEMORY) for name in runs.NAMES])
    code, out, err = compared(failed, failed)
    assert code == 2
    assert err.endswith("not compared: no model has figures worth comparing on the same task in both\n")
    assert "  one-slot on topics: ModelFailed / ModelFailed\n" in out
    assert "  two-threads on answers: ModelFailed / ModelFailed\n" in out


def test_what_failed_before_and_is_measured_now_is_named_where_nothing_is_compared(compared: Perbench) -> None:
    code, out, _ = compared(runs.results([failed_model("one-slot", OUT_OF_MEMORY)]), runs.one_model())
    assert code == 2
    assert "No figures to compare (why not in the baseline / in the candidate):\n" in out
    assert "  one-slot on topics: ModelFailed / measured\n" in out


def test_no_control_character_reaches_the_terminal(compared: Perbench) -> None:
    _, out, err = compared(runs.hostile(), runs.hostile())
    assert all(character.isprintable() or character == "\n" for character in out + err)
    assert max(map(len, out.splitlines())) <= 80


def test_a_bad_file_is_named(perbench: Perbench, tmp_path: Path) -> None:
    good = tmp_path / "good.json"
    good.write_text(results_text(runs.succeeded()), encoding="utf-8")
    code, out, err = perbench("compare", good, tmp_path / "none.json")
    assert (code, out) == (2, "")
    assert (
        err == f"perbench: {tmp_path / 'none.json'}: cannot be read: No such file or directory; give a results.json\n"
    )


def test_a_run_of_which_no_figure_can_be_trusted_is_refused(compared: Perbench) -> None:
    code, out, err = compared(shared(), shared())
    assert code == 2
    assert "RATIO" not in out
    assert err.startswith(
        "perbench: before.json: no figure can be trusted: SharedAccelerator: one-slot ran on L4-SHARED"
    )
    _, text, _ = compared(shared(), shared(), "--json")
    document = json.loads(text)
    assert (document["comparable"], document["models"]) == (False, [])
    assert [entry["side"] for entry in document["untrusted"]] == ["baseline", "candidate"]
