import pytest

from perbench.local.directory import ENTRIES, Disposition, Found, Identity, decide, differences
from perbench.results import Results
from tests.support import results as built

FINISHED = built.succeeded()
UNFINISHED = FINISHED.model_copy(update={"completion_time": None})
ALL = frozenset(ENTRIES)


def identity(results: Results, **changes: object) -> Identity:
    same = {
        "run_id": results.run_id,
        "tasks": results.tasks,
        "sources": {model.name: model.source for model in results.models},
        "substitutions": {model.name: model.substituted_for for model in results.models},
        "provenance": results.provenance,
    }
    return Identity(**(same | changes))  # type: ignore[arg-type] # a test changes one field by name


def test_an_empty_directory_is_taken_as_it_is() -> None:
    assert decide(Found(None, frozenset(), {"mine": False}), identity(FINISHED)) == Disposition(continues=False)


def test_an_unfinished_run_of_the_same_id_continues() -> None:
    disposition = decide(Found(UNFINISHED, ALL, {}), identity(UNFINISHED))
    assert disposition.continues
    assert disposition.moves == ()


def test_a_finished_run_moves_to_its_id_with_its_results_last() -> None:
    disposition = decide(Found(FINISHED, ALL, {}), identity(FINISHED))
    assert not disposition.continues
    assert disposition.moves == tuple((name, f"0123456789/{name}") for name in ENTRIES)
    assert disposition.moves[-1][0] == "results.json"
    assert disposition.sentence == "the finished run moved to 0123456789"


def test_an_unfinished_run_of_another_spec_moves_to_its_own_id() -> None:
    disposition = decide(Found(UNFINISHED, ALL, {}), identity(UNFINISHED, run_id="ffffffffff"))
    assert not disposition.continues
    assert disposition.moves[0][1] == "0123456789/stages"


def test_only_what_is_there_is_moved() -> None:
    found = Found(FINISHED, frozenset({"results.json", "stages"}), {})
    assert [source for source, _ in decide(found, identity(FINISHED)).moves] == ["stages", "results.json"]


def test_a_second_archive_of_the_same_run_gets_a_number() -> None:
    found = Found(FINISHED, ALL, {"0123456789": True, "0123456789-2": True})
    assert decide(found, identity(FINISHED)).moves[0][1] == "0123456789-3/stages"


def test_a_move_that_was_cut_short_is_completed() -> None:
    found = Found(FINISHED, frozenset({"report.html", "results.json"}), {"0123456789": False})
    assert decide(found, identity(FINISHED)).moves[-1][1] == "0123456789/results.json"


def test_stages_that_nobody_can_name_are_kept_apart() -> None:
    found = Found(None, frozenset({"stages"}), {"unidentified": False})
    assert decide(found, identity(FINISHED)).moves == (("stages", "unidentified-2/stages"),)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"tasks": (built.TOPICS.model_copy(update={"sha256": "d" * 64}), built.ANSWERS)}, "task topics"),
        ({"sources": {}}, "the files of model one-slot"),
        (
            {"substitutions": dict.fromkeys(built.NAMES, "TGI")},
            "the runtime of model one-slot",
        ),
        ({"provenance": {**UNFINISHED.provenance, "cpu": "Another"}}, "cpu"),
        ({"provenance": {**UNFINISHED.provenance, "perbench": "9.9"}}, "perbench"),
        ({"provenance": {**UNFINISHED.provenance, "governor": "powersave"}}, "governor"),
    ],
)
def test_what_would_change_the_figures_half_way_starts_a_new_run(changes: dict[str, object], named: str) -> None:
    wanted = identity(UNFINISHED, **changes)
    assert named in differences(UNFINISHED, wanted)
    disposition = decide(Found(UNFINISHED, ALL, {}), wanted)
    assert not disposition.continues
    assert named in (disposition.sentence or "")


def test_the_same_run_has_no_differences() -> None:
    assert differences(UNFINISHED, identity(UNFINISHED)) == ()
