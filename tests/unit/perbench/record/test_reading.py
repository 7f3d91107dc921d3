import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perbench.evaluation import evaluate, status
from perbench.failures import UsageError
from perbench.record import parse, to_text
from perbench.report import render
from perbench.report.terminal import table
from perbench.resources import ResourceUse
from perbench.results_file import read_results
from tests.support import results as runs
from tests.support.results import ANSWERS, TOPICS, Shape, model, results

Tree = dict[str, Any]
STAGE = "models[1].launches[0].stages[1]"

FEW = tuple(task.model_copy(update={"items": 4}) for task in (TOPICS, ANSWERS))
SMALL = results(
    [
        model(name, {"topics": Shape(seconds, 3, right), "answers": Shape(2 * seconds, 9, right)}, FEW, rounds=2)
        for name, seconds, right in (("a", 1.0, 3), ("b", 0.6, 2))
    ],
    FEW,
    rounds=2,
    per={"reference": "a", "qualityFloor": "0.5"},
)


def tree() -> Tree:
    document: Tree = json.loads(to_text(runs.succeeded()))
    return document


def stage(document: Tree) -> Tree:
    found: Tree = document["models"][1]["launches"][0]["stages"][1]
    return found


def refusal(data: bytes | Tree) -> str:
    with pytest.raises(UsageError) as raised:
        parse(data if isinstance(data, bytes) else json.dumps(data).encode(), "r.json")
    assert raised.value.exit_code == 2
    assert str(raised.value).isprintable(), "one line"
    return str(raised.value)


def broken(change: Callable[[Tree], object]) -> str:
    document = tree()
    change(document)
    return refusal(document)


@pytest.mark.parametrize("name", ["succeeded", "with_failed_model", "with_invalid_stage", "interrupted", "hostile"])
def test_what_is_written_is_read_again(name: str) -> None:
    made = getattr(runs, name)()
    assert parse(to_text(made).encode(), "r.json") == made


def test_sources_are_read_and_a_file_from_before_them_is_too() -> None:
    document = tree()
    document["tasks"][0]["sources"] = [0, 1] * 12
    del document["tasks"][1]["sources"]
    found = parse(json.dumps(document).encode(), "r.json").tasks
    assert (found[0].sources, found[1].sources) == ((0, 1) * 12, None)


def test_what_a_server_used_is_read_and_a_file_from_before_it_is_too() -> None:
    document = tree()
    stage(document)["use"] = {"cpuSeconds": 12.5, "cpuSource": "cgroup", "acceleratorUtilization": 0.5}
    launch = parse(json.dumps(document).encode(), "r.json").models[1].launches[0]
    assert launch.stages[0].use is None
    assert launch.stages[1].use == ResourceUse(cpu_seconds=12.5, cpu_source="cgroup", accelerator_utilization=0.5)


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert parse(b"\xef\xbb\xbf" + to_text(runs.succeeded()).encode(), "r.json") == runs.succeeded()


def test_a_newer_version_names_both_and_what_to_do() -> None:
    document = tree() | {"schemaVersion": 7, "provenance": {"perbench": "3.1.0"}, "unheardOf": []}
    assert refusal(document) == (
        "r.json: schemaVersion 7 is newer than 1, the newest this perbench reads (written by perbench 3.1.0):"
        " upgrade perbench"
    )


@pytest.mark.parametrize("version", [0, -1, 1.0, True, "1", None, [1]])
def test_a_version_that_is_none(version: object) -> None:
    assert "r.json: schemaVersion: must be a whole number up to 1" in refusal(tree() | {"schemaVersion": version})


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty; it was not written or copied to its end"),
        (b" \n ", "is empty"),
        (b"[]", "has no schemaVersion; give the results.json that perbench run writes"),
        (b'{"apiVersion": "perbench.dev/v1alpha1"}', "has no schemaVersion"),
        (b"task,model,accuracy\n", "r.json:1:1: not JSON"),
        (b"\xff\xfe{}", "not text in UTF-8 (byte 0)"),
        (b"[" * 100_000, "nested without end"),
        (b'{"schemaVersion": 1, "x": ' + b"9" * 5000 + b"}", "a whole number of 5000 digits"),
    ],
)
def test_what_is_no_results_file_at_all(data: bytes, said: str) -> None:
    assert said in refusal(data)


def test_a_truncated_file_is_called_that() -> None:
    text = (to_text(SMALL)[:-1].replace('"answer 1"', '"\\u00e4 \\ud83d\\ude00 \u00e4\U0001f600"')).encode()
    for length in range(1, len(text), 13):
        assert refusal(text[:length]) == "r.json: ends in the middle; it was not written or copied to its end"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.pop("runId"), "runId: is missing"),
        (lambda d: d.update(models=None), "models: must be a list, not null"),
        (lambda d: d.update(models={}), "models: must be a list, not an object"),
        (lambda d: d.update(spec=[]), "spec: must be an object, not a list"),
        (lambda d: d.update(startTime="yesterday"), "startTime: must be a time with its zone"),
        (lambda d: d.update(startTime="2026-04-02T09:30:00"), "startTime: must be a time with its zone"),
        (lambda d: d.update(completionTime="2020-01-01T00:00:00Z"), "completionTime: is before startTime"),
        (lambda d: d.update(interrupted=1), "interrupted: must be true or false, not 1"),
        (lambda d: d["resolved"].update(rounds=0), "resolved.rounds: must be 1 or more, not 0"),
        (lambda d: d["resolved"].update(reference="nobody"), 'resolved.reference: "nobody" is none of the models'),
        (lambda d: d["models"][2].update(name=7), "models[2].name: must be text, not 7"),
        (lambda d: d["models"][2].update(units=0), "models[2].units: must be 1 or more, and is 0"),
        (lambda d: d["models"][1].update(name="one-slot"), 'models: has "one-slot" 2 times'),
        (lambda d: d["tasks"][1].update(name="topics"), 'tasks: has "topics" 2 times'),
        (lambda d: d["tasks"][1].update(items=0), "tasks[1].items: must be 1 or more, and is 0"),
        (lambda d: d["tasks"][1].update(sources=[0, 1]), "tasks[1].sources: has 2 entries where items is 24"),
        (
            lambda d: d["tasks"][1].update(sources=[-1] + [0] * 23),
            "tasks[1].sources[0]: must not be negative, and is -1",
        ),
        (lambda d: stage(d).update(windowSeconds="4"), f'{STAGE}.windowSeconds: must be a number, not "4"'),
        (lambda d: stage(d).update(windowSeconds=float("nan")), f"{STAGE}.windowSeconds: must be a finite number"),
        (lambda d: stage(d).update(windowSeconds=float("inf")), f"{STAGE}.windowSeconds: must be a finite number"),
        (lambda d: stage(d).update(windowSeconds=-0.5), f"{STAGE}.windowSeconds: must not be negative, and is -0.5"),
        (lambda d: stage(d).update(windowSeconds=1e16), f"{STAGE}.windowSeconds: must be 1e+15 at most"),
        (lambda d: stage(d).update(window_seconds=4), f"{STAGE}.window_seconds: is a field that is not known here"),
        (lambda d: stage(d).update(warmupRequests=8.5), f"{STAGE}.warmupRequests: must be a whole number, not 8.5"),
        (lambda d: stage(d).update(task="riddles"), f'{STAGE}.task: "riddles" is none of the tasks'),
        (lambda d: stage(d).update(round=2), f"{STAGE}.round: is 2, and that of its launch is 0"),
        (lambda d: stage(d).update(task="topics"), 'models[1].launches[0].stages: has repeat 0 of task "topics" 2'),
        (lambda d: d["models"][1]["launches"][1].update(round=0), "models[1].launches: has round 0 2 times"),
        (lambda d: stage(d)["requests"].pop("score"), f"{STAGE}.requests.score: is missing"),
        (
            lambda d: stage(d)["requests"].update(ttftMs=[1.0]),
            f"{STAGE}.requests.ttftMs: has 1 entries where item has 24",
        ),
        (
            lambda d: stage(d)["requests"]["item"].pop(),
            f"{STAGE}.requests.outcome: has 24 entries where item has 23 (12 more)",
        ),
        (lambda d: stage(d)["requests"]["item"].__setitem__(3, 24), f'{STAGE}.requests.item[3]: is 24, and task "answ'),
        (
            lambda d: stage(d)["requests"]["e2eMs"].__setitem__(3, -1),
            f"{STAGE}.requests.e2eMs[3]: must not be negative, and is -1",
        ),
        (
            lambda d: stage(d)["requests"]["e2eMs"].__setitem__(3, float("nan")),
            f"{STAGE}.requests.e2eMs[3]: must be a finite number, not nan",
        ),
        (
            lambda d: stage(d).update(use={"energyJoules": -1}),
            f"{STAGE}.use.energyJoules: must not be negative, and is -1",
        ),
        (
            lambda d: stage(d).update(use={"acceleratorUtilization": 87}),
            f"{STAGE}.use.acceleratorUtilization: must be within 0 and 1, and is 87",
        ),
        (
            lambda d: stage(d)["requests"]["score"].__setitem__(0, 1.5),
            f"{STAGE}.requests.score[0]: must be within 0 and 1, and is 1.5",
        ),
        (
            lambda d: stage(d)["requests"]["outcome"].__setitem__(3, "Great"),
            f"{STAGE}.requests.outcome[3]: \"Great\" is not one of 'Success'",
        ),
        (lambda d: stage(d)["itl"].update(total=5), f"{STAGE}.itl.total: is 5, and counts add up to 264"),
        (lambda d: stage(d)["itl"]["bins"].append(5), f"{STAGE}.itl.counts: has 1 entries where bins has 2"),
        (
            lambda d: stage(d)["itl"].update(bins=[4097], counts=[264]),
            f"{STAGE}.itl.bins: has bin 4097, and the last there is is 4096",
        ),
        (
            lambda d: stage(d)["itl"].update(bins=[9, 9], counts=[1, 263]),
            f"{STAGE}.itl.bins: must rise from entry to entry",
        ),
        (lambda d: d["provenance"].update(load=[0.5, float("nan")]), "provenance.load[1]: must be a finite number"),
        (lambda d: d["models"][0]["source"].update(x=float("inf")), "models[0].source.x: must be a finite number"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(change: Callable[[Tree], object], said: str) -> None:
    assert broken(change).startswith(f"r.json: {said}")


def test_empty_tasks_and_models() -> None:
    document = tree() | {"tasks": []}
    assert refusal(document).startswith("r.json: tasks: is empty; a run has at least one task (")
    assert refusal(tree() | {"models": []}) == "r.json: models: is empty; a run has at least one model"


def test_an_unknown_field_may_be_of_a_newer_perbench() -> None:
    document = tree() | {"carbon": 3, "provenance": {"perbench": "0.9.0"}}
    assert refusal(document) == (
        "r.json: carbon: is a field that is not known here (written by perbench 0.9.0): a newer perbench may know it"
    )


def test_names_in_errors_stay_one_printable_line() -> None:
    document = tree()
    document["resolved"]["reference"] = "\x1b[31mnobody\nelse\u202e"
    document["models"][0]["launches"][0]["stages"][0]["task"] = "a\nb\x1b"
    refusal(document)


def number_places(node: object, place: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every number that was measured or counted; lists of numbers by their first."""
    if isinstance(node, dict):
        free = {"spec", "resolved", "provenance", "source", "serverArguments", "findings", "failure", "promptFit"}
        return [at for key, value in node.items() if key not in free for at in number_places(value, (*place, key))]
    if isinstance(node, list):
        return [at for index, value in enumerate(node[:1]) for at in number_places(value, (*place, index))]
    return [place] if isinstance(node, int | float) and not isinstance(node, bool) else []


def calibrated() -> Tree:
    document = tree()
    numbers = {"ttftErrorMs": 0.2, "itlErrorMs": 0.1, "rateTrusted": 400, "concurrencyTrusted": 64}
    document["models"][0]["launches"][0]["calibration"] = numbers | {"advice": "well"}
    return document


def test_no_number_may_be_negative() -> None:
    places = number_places(calibrated())
    assert len(places) > 44
    for place in places:
        document: Any = calibrated()
        node = document
        for step in place[:-1]:
            node = node[step]
        node[place[-1]] = -1
        assert str(place[-1]) in refusal(document)


class TestFiles:
    def test_a_directory_stands_for_its_results(self, tmp_path: Path) -> None:
        (tmp_path / "results.json").write_text(to_text(runs.succeeded()), encoding="utf-8")
        assert read_results(tmp_path) == read_results(tmp_path / "results.json") == runs.succeeded()

    @pytest.mark.parametrize("make", [lambda path: path, lambda path: path.mkdir() or path])
    def test_a_missing_file(self, tmp_path: Path, make: Callable[[Path], Path]) -> None:
        with pytest.raises(UsageError, match=r"cannot be read: No such file or directory; give a results\.json"):
            read_results(make(tmp_path / "x"))

    def test_settings_that_nobody_can_use(self, tmp_path: Path) -> None:
        made = runs.succeeded()
        broken = made.model_copy(update={"spec": {**made.spec, "per": {"qualityFloor": 2}}})
        (tmp_path / "results.json").write_text(to_text(broken), encoding="utf-8")
        with pytest.raises(UsageError, match=rf"^{tmp_path}/results\.json: spec\.per\.qualityFloor of the results: "):
            read_results(tmp_path)

    def test_the_error_names_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "results.json"
        path.write_text("{", encoding="utf-8")
        with pytest.raises(UsageError, match=f"^{path}: ends in the middle"):
            read_results(path)


JUNK = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([0, -1, 1e300, 10**17, "", "a", "2026-01-01T00:00:00Z", [], {}, [None], "\ud800"])
)


def leaves(node: object, place: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [place, *(at for key, value in entries for at in leaves(value, (*place, key)))]


PLACES = leaves(json.loads(to_text(SMALL)))[1:]


def refused_in_one_line(said: str, name: str) -> None:
    assert said.isprintable()
    assert said.startswith(f"{name}: ")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(PLACES), JUNK, st.booleans()), min_size=1, max_size=3))
def test_whatever_is_read_can_be_shown(changes: list[tuple[tuple[str | int, ...], object, bool]]) -> None:
    """A file with anything in any place is either refused in one line, or evaluated and shown without a fault."""
    document: Any = json.loads(to_text(SMALL))
    for place, junk, remove in changes:
        node = document
        try:
            for step in place[:-1]:
                node = node[step]
            if remove:
                del node[place[-1]]
            else:
                node[place[-1]] = junk
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        Path(file.name).write_text(json.dumps(document), encoding="utf-8")
        try:
            read = read_results(Path(file.name))
        except UsageError as error:
            refused_in_one_line(str(error), file.name)
            return
    evaluation = evaluate(read)
    assert status(evaluation).run is not None
    assert max(map(len, table(evaluation).splitlines())) <= 80
    assert "</html>" in render(read)
