import json
from pathlib import Path

import pytest

from perbench.api.tasks import Dataset, InlineItem, Preset, Scorer, Scoring, Synthetic, TaskSpec
from perbench.failures import UsageError
from perbench.results import TaskKind
from perbench_bench.tasks import resolve
from perbench_bench.tasks.resolve import SPARE_LIMIT

CONTAINS = Scoring(scorer=Scorer.CONTAINS)
CHOICE = Scoring(scorer=Scorer.CHOICE, choices=("yes", "no"))


def inline(count: int, answer: str = "yes", **columns: str) -> tuple[InlineItem, ...]:
    return tuple(InlineItem(input=f"question {i}", answers=(answer,), fields=columns) for i in range(1, count + 1))


def dataset(count: int = 8, prompt: str = "{{ input }}", scoring: Scoring = CONTAINS) -> Dataset:
    return Dataset(inline=inline(count), prompt=prompt, scoring=scoring)


def task(**fields: object) -> TaskSpec:
    return TaskSpec.model_validate({"name": "mine", **fields})


def test_a_preset_keeps_rows_for_warm_up() -> None:
    resolved = resolve(task(preset=Preset.PACKAGED_TOPICS), None)
    assert (resolved.name, resolved.kind, resolved.count) == ("mine", TaskKind.CLASSIFICATION, 48)
    assert (len(resolved.items), len(resolved.spare)) == (48, 16)
    assert resolve(task(preset=Preset.PACKAGED_ANSWERS), None).kind is TaskKind.GENERATION


def test_a_limit_moves_items_to_the_spare_ones() -> None:
    whole = resolve(task(preset=Preset.PACKAGED_TOPICS), None)
    part = resolve(task(preset=Preset.PACKAGED_TOPICS, limit=24), None)
    assert part.items == whole.items[:24]
    assert set(part.spare) == {*whole.spare, *whole.items[24:]}
    assert part.count == 24


def test_a_limit_beyond_the_items_takes_all() -> None:
    assert resolve(task(preset=Preset.PACKAGED_TOPICS, limit=1000), None).count == 48


@pytest.mark.parametrize(("scoring", "kind"), [(CHOICE, TaskKind.CLASSIFICATION), (CONTAINS, TaskKind.GENERATION)])
def test_the_kind_of_a_dataset_follows_its_scorer(scoring: Scoring, kind: TaskKind) -> None:
    assert resolve(task(dataset=dataset(scoring=scoring)), None).kind is kind


def test_a_dataset_is_shuffled_once_and_for_all() -> None:
    resolved = resolve(task(dataset=dataset(8)), None)
    assert [item.id for item in resolved.items] == ["8", "7", "2", "3", "4", "5", "6", "1"]
    assert [item.prompt for item in resolved.items] == [f"question {item.id}" for item in resolved.items]
    assert resolved.spare == ()


def test_a_sorted_dataset_gives_a_mixed_subset() -> None:
    items = inline(100, "no") + inline(100, "yes")
    resolved = resolve(task(dataset=Dataset(inline=items, scoring=CHOICE), limit=50), None)
    right = [item.answers[0] for item in resolved.items].count("yes")
    assert 15 <= right <= 35


def test_smaller_limits_are_parts_of_larger_ones_and_of_longer_files() -> None:
    whole = resolve(task(dataset=dataset(20)), None)
    for limit in range(1, 21):
        part = resolve(task(dataset=dataset(20), limit=limit), None)
        assert part.items == whole.items[:limit]
        assert part.spare == whole.items[limit:]
    longer = resolve(task(dataset=dataset(40)), None)
    assert [item for item in longer.items if item in whole.items] == list(whole.items)


def test_spare_items_are_limited(tmp_path: Path) -> None:
    line = json.dumps({"input": "x", "answer": "y"}) + "\n"
    (tmp_path / "many.jsonl").write_text(line * (SPARE_LIMIT + 100))
    resolved = resolve(task(dataset=Dataset(file="many.jsonl", scoring=CONTAINS), limit=10), tmp_path)
    assert (len(resolved.items), len(resolved.spare)) == (10, SPARE_LIMIT)


def test_columns_reach_the_prompt(tmp_path: Path) -> None:
    rows = [{"input": "two?", "answers": ["2"], "context": "one two three"}]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    own = Dataset(file="data/own.jsonl", prompt="{{ context }} | {{ input }}", scoring=CONTAINS)
    (item,) = resolve(task(dataset=own), tmp_path).items
    assert (item.prompt, item.answers) == ("one two three | two?", ("2",))
    with_fields = Dataset(inline=inline(1, context="c"), prompt="{{ context }}: {{ input }}", scoring=CONTAINS)
    assert resolve(task(dataset=with_fields), None).items[0].prompt == "c: question 1"


def test_defaults() -> None:
    assert resolve(task(dataset=dataset()), None).max_tokens == 256
    assert resolve(task(dataset=dataset(), max_tokens=9), None).max_tokens == 9
    synthetic = resolve(task(synthetic=Synthetic(input_tokens=100, output_tokens=7)), None)
    assert (synthetic.kind, synthetic.max_tokens, synthetic.count) == (TaskKind.SYNTHETIC, 7, 200)
    assert (synthetic.items, synthetic.spare, synthetic.scoring) == ((), (), None)
    assert resolve(task(synthetic=Synthetic(input_tokens=1, output_tokens=1), limit=5), None).count == 5


def test_the_record_of_a_task() -> None:
    record = resolve(task(dataset=dataset(8), limit=5, max_tokens=3), None).record()
    assert (record.name, record.kind, record.items, record.max_tokens) == ("mine", TaskKind.GENERATION, 5, 3)
    assert len(record.sha256) == 64


SAME = {"dataset": dataset(8), "limit": 5, "max_tokens": 3}


@pytest.mark.parametrize(
    "change",
    [
        {"limit": 6},
        {"max_tokens": 4},
        {"dataset": dataset(8, prompt="{{ input }}?")},
        {"dataset": dataset(8, scoring=Scoring(scorer=Scorer.EXACT_MATCH))},
        {"dataset": Dataset(inline=inline(8, "no"), scoring=CONTAINS)},
    ],
)
def test_the_digest_changes_with_what_is_asked(change: dict[str, object]) -> None:
    assert resolve(task(**{**SAME, **change}), None).record().sha256 != resolve(task(**SAME), None).record().sha256


def test_the_digest_does_not_depend_on_how_the_task_is_written(tmp_path: Path) -> None:
    written = "".join(json.dumps({"input": f"question {i}", "answer": "yes"}) + "\n" for i in range(1, 9))
    (tmp_path / "f.jsonl").write_text(written)
    from_file = task(dataset=Dataset(file="f.jsonl", prompt="{{input}}\n", scoring=CONTAINS), limit=5, max_tokens=3)
    assert resolve(from_file, tmp_path).record() == resolve(task(**SAME), None).record()


@pytest.mark.parametrize("tokens", [(100, 8), (101, 7)])
def test_the_digest_of_a_synthetic_task_holds_its_lengths(tokens: tuple[int, int]) -> None:
    def digest(sent: int, written: int) -> str:
        return resolve(task(synthetic=Synthetic(input_tokens=sent, output_tokens=written)), None).record().sha256

    assert digest(*tokens) != digest(100, 7)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Dataset(file="no.jsonl", scoring=CONTAINS), "BASE/no.jsonl: no such file"),
        (dataset(prompt="{{ inptu }}"), "dataset.inline[0]: the prompt uses the unknown column 'inptu'; did you mean"),
        (dataset(prompt="{{ input | uper }}"), "line 1 of the prompt uses the unknown filter 'uper'"),
        (
            Dataset(inline=inline(1) + inline(9, "maybe"), scoring=CHOICE),
            "dataset.inline[1]: the answer 'maybe' is not one of",
        ),
        (
            Dataset(inline=inline(1) + inline(9, "?"), scoring=CONTAINS),
            "dataset.inline[1]: Contains needs letters or digits",
        ),
        (dataset(scoring=Scoring(scorer=Scorer.REGEX, pattern="(a+)+$")), "the pattern '(a+)+$' takes over 0.5 s"),
        (dataset(scoring=Scoring(scorer=Scorer.CHOICE, choices=("a b", "A-B"))), "the choices 'a b' and 'A-B' have"),
    ],
)
def test_mistakes_name_the_task(tmp_path: Path, wrong: Dataset, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(task(dataset=wrong), tmp_path)
    assert str(caught.value).startswith(f"task 'mine': {message}".replace("BASE", str(tmp_path)))


def test_a_mistake_in_a_file_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "f.jsonl").write_text('{"input": "x", "answer": "y"}\n\n{"input": "x", "answer": "-"}\n')
    with pytest.raises(UsageError, match=rf"^task 'mine': {tmp_path}/f.jsonl:3: Contains needs letters or digits"):
        resolve(task(dataset=Dataset(file="f.jsonl", scoring=CONTAINS)), tmp_path)


def test_no_file_is_read_without_a_directory() -> None:
    with pytest.raises(UsageError, match=r"dataset\.file is read only by a local run; write the items `inline`"):
        resolve(task(dataset=Dataset(file="/etc/hostname", scoring=CONTAINS)), None)


def test_all_prompts_together_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(resolve.__globals__, "TOTAL_LIMIT", 50)
    with pytest.raises(UsageError, match="the prompts exceed 50 characters together"):
        resolve(task(dataset=dataset(8)), None)


def with_sources(*sources: str | None) -> Dataset:
    items = tuple(
        InlineItem(input=f"question {i}", answers=("yes",), source=source) for i, source in enumerate(sources, start=1)
    )
    return Dataset(inline=items, scoring=CONTAINS)


def test_items_of_one_source_share_a_number_in_the_record() -> None:
    resolved = resolve(task(dataset=with_sources("a", "b", "a", None, None, "b", "c", "a")), None)
    record = resolved.record()
    # In the order in which they are measured: an item without a source shares its number with none.
    assert [item.source for item in resolved.items] == ["a", "c", "b", "a", None, None, "b", "a"]
    assert record.sources == (0, 1, 2, 0, 3, 4, 2, 0)
    assert len(resolve(task(dataset=with_sources("a", "b", "a"), limit=2), None).record().sources or ()) == 2


def test_a_file_names_sources_too(tmp_path: Path) -> None:
    lines = [{"input": f"question {i}", "answer": "yes", "source": f"page {i // 4}"} for i in range(8)]
    (tmp_path / "pages.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = resolve(task(dataset=Dataset(file="pages.jsonl", scoring=CONTAINS)), tmp_path).record()
    assert sorted(found.sources or ()) == [0] * 4 + [1] * 4


def test_sources_are_in_the_digest_only_where_they_are_given() -> None:
    plain = resolve(task(dataset=dataset(4)), None).record()
    none = resolve(task(dataset=with_sources(None, None, None, None)), None).record()
    assert none == plain
    assert none.sources is None
    pairs, halves = (
        resolve(task(dataset=with_sources(*sources)), None).record().sha256 for sources in ("aabb", "abab")
    )
    assert len({plain.sha256, pairs, halves}) == 3
    # What a source is called changes nothing.
    assert resolve(task(dataset=with_sources(*"ccdd")), None).record().sha256 == pairs
