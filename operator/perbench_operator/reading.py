"""A benchmark as the API gives it, understood. Pure."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from perbench.api.messages import mistakes
from perbench.api.reading import parse
from perbench.api.resource import RUN_ANNOTATION, BenchmarkSpec
from perbench.api.status import Status
from perbench.api.yamltext import path_text
from perbench.failures import first_mistake, shorten
from perbench_operator.decide.situation import Benchmark

OPEN_LISTS = (("conditions",), ("warnings",), ("baseline", "regressed"))
"""Lists of the status that a later version may have more kinds of entries in."""


def read_benchmark(body: dict[str, Any]) -> Benchmark:
    """The resource; one that does not keep the API's rules says which, and one whose status cannot be read says why.

    Of its metadata the API server is the judge: it fills in more than there is to know of.
    """
    metadata = body["metadata"]
    plain: dict[str, Any] = {key: body[key] for key in ("apiVersion", "kind", "spec") if key in body}
    plain["metadata"] = {"name": metadata["name"]}
    spec, mistake = _spec(plain)
    status, unreadable = None, ""
    if body.get("status"):
        try:
            status = read_status(body["status"])
        except ValidationError as error:
            unreadable = shorten(first_mistake(error), 900).replace("\n", " ")
    return Benchmark(
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 0),
        spec=spec,
        mistake=mistake,
        request=(metadata.get("annotations") or {}).get(RUN_ANNOTATION),
        status=status,
        unreadable=unreadable,
        deleting=metadata.get("deletionTimestamp") is not None,
    )


def _spec(plain: dict[str, Any]) -> tuple[BenchmarkSpec | None, str]:
    """What is asked for, and the first rule it breaks. A run that has begun is not ended, nor are the figures of one
    that has ended taken back, because there are more rules since."""
    try:
        return parse(plain).spec, ""
    except ValidationError as error:
        mistake = _first_of(error)
    try:
        return parse(plain, stored=True).spec, mistake
    except ValidationError as error:
        return None, _first_of(error)


def _first_of(error: ValidationError) -> str:
    first = next(mistakes(error))
    return shorten(f"{path_text(first.location)}: {first.message}", 900).replace("\n", " ")


def read_status(data: Mapping[str, Any]) -> Status:
    """A status, also one that a later version has written: fields, conditions and warnings that are not known are left
    out. A run must not begin anew because the operator was set back to the version before.

    Raises ValidationError for what this version cannot make sense of.
    """
    try:
        return Status.model_validate(data)
    except ValidationError as error:
        known = copy.deepcopy(dict(data))
        for path in sorted({_unknown(each["type"], each["loc"]) for each in error.errors()}, key=_last_first):
            _drop(known, path)
        return Status.model_validate(known)


def _unknown(kind: str, place: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """What is left out for a mistake: an unknown field, or the entry of an open list. Empty: nothing."""
    for path in OPEN_LISTS:
        size = len(path)
        if place[:size] == path and len(place) > size and isinstance(place[size], int):
            return place[: size + 1]
    return place if kind == "extra_forbidden" else ()


def _last_first(path: Sequence[str | int]) -> tuple[int, ...]:
    """So that what is dropped of a list does not move what is yet to be."""
    return tuple(-part for part in path if isinstance(part, int))


def _drop(data: dict[str, Any], path: Sequence[str | int]) -> None:
    place: Any = data
    for part in path[:-1]:
        place = place[part]
    if path:
        del place[path[-1]]
