from pathlib import Path

import pytest

from perbench.failures import Blame, Failure, UsageError
from perbench.files import write_atomically
from perbench.local.directory import Disposition
from perbench.local.store import Store
from perbench.results import CalibrationRecord
from tests.support import results as built


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def write_stage(store: Store, number: int = 0, repeat: int = 0) -> Path:
    record = built.stage(built.TOPICS, built.ONE_SLOT["topics"], number, repeat)
    path = store.stage_directory("m", number) / f"topics.{repeat}.json"
    write_atomically(path, record.model_dump_json(by_alias=True))
    return path


def test_results_are_read_as_they_were_written(store: Store) -> None:
    results = built.succeeded()
    store.write_results(results)
    found = store.found()
    assert found.results == results
    assert found.entries == {"results.json"}


def test_an_empty_directory_holds_nothing(store: Store) -> None:
    assert store.found().results is None
    assert not store.found().entries


@pytest.mark.parametrize("text", ["", "{", '{"schemaVersion": 1}', "[]"])
def test_a_file_that_is_no_results_is_not_written_over(store: Store, text: str) -> None:
    (store.root / "results.json").write_text(text)
    with pytest.raises(UsageError, match=r"results\.json: [^;]*; move it away or choose another --output-dir$"):
        store.found()


def test_archives_are_told_from_other_directories(store: Store) -> None:
    (store.root / "other").mkdir()
    Store(store.root / "0123456789").write_results(built.succeeded())
    store.write_status("status")
    assert store.found().archives == {"other": False, "0123456789": True}


def test_moves_are_made_in_order(store: Store) -> None:
    store.write_results(built.succeeded())
    write_stage(store)
    store.dispose(Disposition(continues=False, moves=(("stages", "x/stages"), ("results.json", "x/results.json"))))
    assert Store(store.root / "x").stages("m", 0)
    assert store.found().archives == {"x": True}
    assert not store.found().entries


def test_stages_come_back_in_the_order_they_were_measured(store: Store) -> None:
    for repeat in (1, 0):
        write_stage(store, 2, repeat)
    write_stage(store, 1)
    assert [record.key for record in store.stages("m", 2)] == [("topics", 2, 0), ("topics", 2, 1)]
    assert store.stages("m", 0) == ()


def test_a_stage_that_cannot_be_read_is_put_aside_and_will_be_measured_again(store: Store) -> None:
    path = write_stage(store)
    path.write_text(path.read_text()[:100])
    assert store.stages("m", 0) == ()
    assert not path.exists()
    assert path.with_suffix(".unreadable").exists()


def test_how_exactly_the_machine_measured_is_no_stage(store: Store) -> None:
    assert store.calibration("m", 0) is None
    write_stage(store)
    found = CalibrationRecord(
        ttft_error_ms=0.2, itl_error_ms=0.05, rate_trusted=400.0, concurrency_trusted=None, advice="fine"
    )
    file = store.stage_directory("m", 0) / "calibration.json"
    write_atomically(file, found.model_dump_json(by_alias=True))
    assert len(store.stages("m", 0)) == 1
    assert store.calibration("m", 0) == found, "reading stages has left it in its place"


def test_a_failure_is_read_once(store: Store) -> None:
    failure = Failure(blame=Blame.TARGET, reason="EndpointDown", message="refused")
    write_atomically(store.stage_directory("m", 0) / "failure.json", failure.model_dump_json(by_alias=True))
    write_stage(store)
    assert len(store.stages("m", 0)) == 1
    assert store.take_failure("m", 0) == failure
    assert store.take_failure("m", 0) is None


def test_two_commands_do_not_share_a_directory(store: Store) -> None:
    with store.locked(), pytest.raises(UsageError, match="another perbench run"), Store(store.root).locked():
        pass


def test_a_directory_is_free_again_after_its_command(store: Store) -> None:
    with store.locked():
        pass
    with store.locked():
        pass


def test_an_output_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="choose another --output-dir"), Store(tmp_path / "file").locked():
        pass
