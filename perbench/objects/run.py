"""What outlives a run beside its results objects, so that it can be read after others: what was asked, and how. Pure.

The status of a benchmark tells of its last run only. The operator keeps this in the run's snapshot object, written when
the run begins.
"""

from collections.abc import Mapping

from pydantic import AwareDatetime, JsonValue

from perbench.api.defaults import Resolved
from perbench.api.resource import BenchmarkSpec, to_data
from perbench.base import Document
from perbench.masking import shown_spec
from perbench.objects.assembled import assembled
from perbench.objects.results import ModelObject, document_bytes
from perbench.results import Results

RUN = "run"
"""The key of `binaryData` that it stands under, compressed like the documents of results objects."""


class RunRecord(Document):
    """One run, as it was asked for."""

    name: str
    """Of the benchmark."""
    run_id: str
    spec: Mapping[str, JsonValue]
    """As it was when the run began, less inline items: the results objects say which items there were. Values that
    sound like secrets are hidden."""
    resolved: Resolved
    start_time: AwareDatetime
    provenance: Mapping[str, JsonValue]
    """Which software measured, and where."""

    @property
    def models(self) -> tuple[str, ...]:
        """Their names, in the order of the spec."""
        entries = self.spec.get("models")
        found = entries if isinstance(entries, list) else []
        return tuple(entry["name"] for entry in found if isinstance(entry, dict) and isinstance(entry["name"], str))


def kept_spec(spec: BenchmarkSpec) -> dict[str, JsonValue]:
    """What a record keeps of a spec."""
    data = shown_spec(to_data(spec))
    tasks = data.get("tasks")
    for task in tasks if isinstance(tasks, list) else []:
        dataset = task.get("dataset") if isinstance(task, dict) else None
        if isinstance(dataset, dict):
            dataset.pop("inline", None)
    return data


def read_run(binary_data: Mapping[str, str] | None) -> RunRecord:
    """The record in a snapshot object. Raises ValueError: there is none that can be read."""
    value = (binary_data or {}).get(RUN)
    if value is None:
        raise ValueError("no record of the run")
    return RunRecord.model_validate_json(document_bytes(value))


def results_of_run(record: RunRecord, objects: Mapping[str, ModelObject], per: JsonValue) -> Results:
    """What was measured in a former run, figures read by this `spec.per` (None: by the defaults).

    `objects`: all of the run's models. Raises ValueError for an object that does not say what its model is.
    """
    spec = {name: value for name, value in record.spec.items() if name != "per"}
    return assembled(
        name=record.name,
        run_id=record.run_id,
        spec=spec if per is None else {**spec, "per": per},
        resolved=record.resolved,
        start_time=record.start_time,
        completion_time=None,
        provenance=record.provenance,
        objects={model: objects[model] for model in record.models},
    )
