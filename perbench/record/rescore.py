"""The same measurements under other settings of PER."""

import difflib
from typing import TYPE_CHECKING

from perbench.api.resource import BenchmarkSpec
from perbench.failures import UsageError
from perbench.results import Results

if TYPE_CHECKING:
    from pydantic import JsonValue


def rescored(results: Results, reference: str | None = None, quality_floor: float | None = None) -> Results:
    """The results as if their `spec.per` had said this; what is None stays. All that is computed from them follows.

    UsageError for a reference that is none of the models, and for a floor outside 0 to 1.
    """
    given = results.spec.get("per")
    per: dict[str, JsonValue] = dict(given) if isinstance(given, dict) else {}
    resolved = results.resolved
    if reference is not None:
        _check_reference(reference, [model.name for model in results.models])
        per["reference"] = reference
        resolved = resolved.model_copy(update={"reference": reference})
    if quality_floor is not None:
        if not 0 <= quality_floor <= 1:
            raise UsageError(f"--quality-floor {quality_floor} is not within 0 to 1; accuracies are shares of 0 to 1")
        per["qualityFloor"] = f"{quality_floor:.10f}".rstrip("0").rstrip(".")
    spec = {**results.spec, "per": per} if per else results.spec
    return results.model_copy(update={"spec": spec, "resolved": resolved})


def with_settings_of(results: Results, other: BenchmarkSpec, name: str) -> Results:
    """The results as if their spec had the `per` and `capacity` of `other`, also where it has none.

    Without a reference there, the first model of the results is it. `name`: where `other` came from. UsageError for a
    reference that is none of the models of the results.
    """
    parts = {"per": other.per, "capacity": other.capacity}
    kept = {key: value for key, value in results.spec.items() if key not in parts}
    given = {
        key: part.model_dump(mode="json", by_alias=True, exclude_none=True)
        for key, part in parts.items()
        if part is not None
    }
    models = [model.name for model in results.models]
    reference = models[0] if other.per is None or other.per.reference is None else other.per.reference
    _check_reference(reference, models, f"per.reference of {name}")
    resolved = results.resolved.model_copy(update={"reference": reference})
    return results.model_copy(update={"spec": {**kept, **given}, "resolved": resolved})


def _check_reference(reference: str, models: list[str], what: str = "--reference") -> None:
    if reference in models:
        return
    near = difflib.get_close_matches(reference, models, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"its models are {', '.join(models)[:200]}"
    raise UsageError(f"the results have no model {reference!r} for {what}; {hint}")
