from perbench.evaluation.cells import flip_percent
from perbench.objects.compact import ValuePool
from perbench.objects.results import ModelObject
from tests.support.results import ANSWERS, TOPICS, Shape, stage

SHAPE = Shape(1.0, 10, 20)


def test_nothing_changes_but_the_words_of_answers() -> None:
    first, second = stage(TOPICS, SHAPE), stage(ANSWERS, SHAPE)
    found = ValuePool().compact(ModelObject(stages={0: (first, second)}))
    for before, after in zip((first, second), found.stages[0], strict=True):
        rows = after.requests.model_copy(update={"answer": before.requests.answer})
        assert after.model_copy(update={"requests": rows}) == before


def test_answers_that_differ_still_do() -> None:
    """What a model answers otherwise from repeat to repeat is a warning."""
    rows = stage(TOPICS, SHAPE).requests
    count = len(rows.item)
    given = [("a",) * count, ("a", *("b",) * (count - 1)), (None,) * count]
    records = [
        stage(TOPICS, SHAPE, repeat=number).model_copy(update={"requests": rows.model_copy(update={"answer": answer})})
        for number, answer in enumerate(given)
    ]
    found = ValuePool().compact(ModelObject(stages={0: tuple(records)})).stages[0]
    assert flip_percent(records) == flip_percent(found) == 100 * (count - 1) / count
    assert found[2].requests.answer == (None,) * count


def test_equal_values_are_held_once_and_columns_of_other_kinds_are_not_mixed() -> None:
    rows = stage(TOPICS, SHAPE).requests
    count = len(rows.item)
    alike = rows.model_copy(
        update={
            "e2e_ms": tuple(float(str(1.5)) for _ in range(count)), "output_tokens": (1,) * count,
            "score": (1.0,) * count,
        }
    )  # fmt: skip
    records = [stage(TOPICS, SHAPE, number=n).model_copy(update={"requests": alike}) for n in range(2)]
    pool = ValuePool()
    first, second = (pool.compact(ModelObject(stages={0: (record,)})).stages[0] for record in records)
    assert len({id(value) for value in first[0].requests.e2e_ms}) == 1
    assert first[0].requests.e2e_ms is second[0].requests.e2e_ms
    assert isinstance(first[0].requests.output_tokens[0], int)
    assert isinstance(first[0].requests.score[0], float)
