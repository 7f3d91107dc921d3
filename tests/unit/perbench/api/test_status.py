import json
import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from perbench.api.crd import editor_schema
from perbench.api.resource import MAX_CELLS, to_data
from perbench.api.schema import Schema
from perbench.api.status import Condition, ConditionStatus, ConditionType, Status, decimal_text

SCHEMA = editor_schema()["properties"]["status"]
LIMIT = 128 * 1024


def largest(schema: Schema) -> object:
    """A value of the greatest length that a schema allows."""
    if "enum" in schema:
        return max(schema["enum"], key=len)
    if schema["type"] == "object":
        return {name: largest(part) for name, part in schema["properties"].items()}
    if schema["type"] == "array":
        return [largest(schema["items"])] * schema["maxItems"]
    if schema["type"] == "string":
        return "2026-11-02T10:00:00Z" if "format" in schema else "x" * schema["maxLength"]
    return schema["maximum"] if schema["type"] == "integer" else False


def test_the_largest_status_fits_into_128_kib() -> None:
    status = largest(SCHEMA)
    assert isinstance(status, dict)
    cells = len(status["models"]) * len(status["models"][0]["tasks"])
    assert cells > MAX_CELLS
    for model in status["models"]:
        model["tasks"] = model["tasks"][: MAX_CELLS // len(status["models"])]
    for ranking in status["ranking"]:
        ranking["order"] = ranking["order"][: MAX_CELLS // len(status["ranking"])]
    assert LIMIT / 2 < len(json.dumps(status, separators=(",", ":"))) <= LIMIT


def test_long_names_are_cut_at_their_beginning() -> None:
    """Images and nodes may have longer names than the status has room for."""
    (model,) = Status.model_validate(
        {"models": [{"name": "a", "phase": "Succeeded", "image": "x" * 500 + "/server:1", "node": None}]}
    ).models
    assert model.image is not None
    assert (len(model.image), model.image[:3], model.image[-9:]) == (128, "… x", "/server:1")
    assert model.node is None


def test_nothing_unknown_and_no_floats() -> None:
    assert "number" not in json.dumps(SCHEMA)
    with pytest.raises(ValidationError):
        Status.model_validate({"unheardOf": "1"})


def test_what_was_not_set_is_absent() -> None:
    status = Status(compared_models=0, phase=None)
    assert to_data(status) == {"comparedModels": 0}
    jsonschema.validate(to_data(status), SCHEMA)


def test_times_are_utc_and_whole_seconds() -> None:
    moment = datetime(2026, 11, 2, 12, 0, 0, 987_654, tzinfo=timezone(timedelta(hours=2)))
    assert to_data(Status(start_time=moment)) == {"startTime": "2026-11-02T10:00:00Z"}


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        Status(start_time=datetime(2026, 11, 2, 12))  # noqa: DTZ001 - that it is refused is the point


def test_one_condition_per_type() -> None:
    condition = Condition(
        type=ConditionType.SUCCEEDED,
        status=ConditionStatus.UNKNOWN,
        last_transition_time=datetime(2026, 11, 2, tzinfo=UTC),
        reason="Running",
        message="",
    )
    with pytest.raises(ValidationError, match='duplicate type "Succeeded"'):
        Status(conditions=(condition, condition))


@pytest.mark.parametrize("reason", ["", "not camel", "x1", "Über"])
def test_reasons_are_camel_case_words(reason: str) -> None:
    with pytest.raises(ValidationError):
        Condition(
            type=ConditionType.SUCCEEDED,
            status=ConditionStatus.TRUE,
            last_transition_time=datetime(2026, 11, 2, tzinfo=UTC),
            reason=reason,
            message="",
        )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.87312, "0.8731"),
        (0.87315, "0.8732"),
        (1234567.0, "1235000"),
        (2.0, "2"),
        (100.0, "100"),
        (0.0, "0"),
        (-0.0, "0"),
        (-1.50, "-1.5"),
        (1e-7, "0.0000001"),
        (9.876e14, "987600000000000"),
        (1.2345e-11, "0.0000000000123"),
        (1e-16, "0"),
    ],
)
def test_decimal_text(value: float, text: str) -> None:
    assert decimal_text(value) == text


@pytest.mark.parametrize("value", [1e15, -1e15, math.inf, math.nan])
def test_what_does_not_fit_into_the_status_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        decimal_text(value)


@given(st.floats(min_value=-9.9e14, max_value=9.9e14))
def test_every_other_number_fits(value: float) -> None:
    assert len(decimal_text(value)) <= SCHEMA["properties"]["best"]["properties"]["referencePer"]["maxLength"]


@given(st.floats(min_value=1e-9, max_value=9.9e14))
def test_decimal_text_is_a_decimal_of_the_schema_and_near(value: float) -> None:
    text = decimal_text(value)
    assert to_data(Status.model_validate({"best": {"model": "a", "tasksWon": 0, "tasks": 0, "referencePer": text}}))
    assert math.isclose(float(Decimal(text)), value, rel_tol=0.0005)
