from datetime import UTC, datetime
from typing import Any

import pytest

from perbench.api.defaults import resolve_defaults
from perbench.api.reading import parse
from perbench.objects.results import ModelObject, encoded
from perbench.objects.run import RUN, RunRecord, kept_spec, read_run, results_of_run
from perbench.results import ModelRecord
from tests.support.results import ONE_SLOT, model


def document(**spec: Any) -> Any:
    head = {"apiVersion": "perbench.dev/v1alpha1", "kind": "PERBenchmark", "metadata": {"name": "nightly"}}
    plain = {"models": [{"name": "b", "model": "org/b"}, {"name": "a", "model": "org/a"}],
             "tasks": [{"name": "topics", "preset": "PackagedTopics"}]}  # fmt: skip
    return parse(head | {"spec": plain | spec}).spec


def record(**spec: Any) -> RunRecord:
    given = document(**spec)
    return RunRecord(
        name="nightly", run_id="0123456789", spec=kept_spec(given), resolved=resolve_defaults(given, local=False),
        start_time=datetime(2026, 1, 1, tzinfo=UTC), provenance={"where": "Cluster"},
    )  # fmt: skip


def test_a_record_is_read_as_it_was_written() -> None:
    kept = record(load={"concurrency": 4}, per={"reference": "a"})
    assert read_run({RUN: encoded(kept)}) == kept
    assert kept.models == ("b", "a")


def test_items_are_not_kept_and_secrets_are_hidden() -> None:
    inline = [{"input": f"q{number}", "answers": ["a"]} for number in range(40)]
    kept = record(
        tasks=[
            {"name": "own", "dataset": {"inline": inline, "prompt": "{{ input }}", "scoring": {"scorer": "Contains"}}}
        ],
        serving={"env": [{"name": "HF_TOKEN", "value": "hf_secret"}, {"name": "SIZE", "value": "7"}]},
    )
    text = kept.model_dump_json()
    assert "hf_secret" not in text
    assert '"7"' in text
    assert '"q7"' not in text
    assert "{{ input }}" in text


@pytest.mark.parametrize("data", [None, {}, {RUN: "bm90IGd6aXA="}, {RUN: "?"}, {"other": "x"}])
def test_what_is_no_record_is_refused(data: dict[str, str] | None) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_run(data)


def objects() -> dict[str, ModelObject]:
    def bare(name: str) -> ModelRecord:
        return model(name, ONE_SLOT, rounds=0)

    return {name: ModelObject(model=bare(name)) for name in ("a", "b")}


def test_a_former_run_is_read_by_the_settings_of_today() -> None:
    found = results_of_run(record(per={"reference": "a"}), objects(), {"memoryBasis": "Weights"})
    assert found.spec["per"] == {"memoryBasis": "Weights"}
    assert [entry.name for entry in found.models] == ["b", "a"]
    assert "per" not in results_of_run(record(per={"reference": "a"}), objects(), None).spec


def test_an_object_that_does_not_say_what_its_model_is() -> None:
    with pytest.raises(ValueError, match="does not say how it is served"):
        results_of_run(record(), objects() | {"a": ModelObject()}, None)
