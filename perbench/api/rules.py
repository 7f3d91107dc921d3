"""What every object of the API has: documented fields, and rules that hold between them.

A rule is written once, beside the fields it binds, and says the same in both places it works: here in Python, and as
CEL (`x-kubernetes-validations`) in the CRD.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import override

from perbench.base import Document

Location = tuple[str | int, ...]
"""A path inside an object, as pydantic gives it: field names as written in YAML, and list indices."""
STORED = "stored"
"""As the context of a validation: the object is one that was taken once, perhaps before there were all these rules."""


@dataclass(frozen=True)
class Rule:
    """A condition over several fields of one object.

    `cel` is None where CEL cannot tell (a regular expression of Python's kind); such a rule works in Python only.
    `holds` takes the object. `field` is the one the message is about (`per.reference`), "" for the object itself.
    `where`, if given, finds the place more exactly once the rule is known to be broken. `of_beginning`: what breaks it
    is understood all the same, and only no run of it is to begin; so it is not asked of objects that are STORED.
    """

    message: str
    cel: str | None
    holds: Callable[[Any], bool]
    field: str = ""
    where: Callable[[Any], Location] | None = None
    of_beginning: bool = False

    def place(self, value: object) -> Location:
        """Where, inside the object that breaks this rule, the mistake is."""
        if self.where is not None:
            return self.where(value)
        return tuple(self.field.split(".")) if self.field else ()

    def validation(self) -> dict[str, str]:
        """The rule as an entry of `x-kubernetes-validations`. Only for rules that have CEL."""
        entry = {"rule": self.cel or "", "message": self.message}
        return entry | ({"fieldPath": f".{self.field}"} if self.field else {})


class ApiObject(Document):
    """An object of the API. The docstring under a field is its description in CRD, reference and `kubectl explain`."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    RULES: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _keep_rules(self, info: ValidationInfo) -> Self:
        asked = [rule for rule in self.RULES if not (rule.of_beginning and info.context == STORED)]
        broken = [rule for rule in asked if not rule.holds(self)]
        if broken:
            found = [(rule.place(self), rule.message) for rule in broken]
            raise PydanticCustomError("rules", "{text}", {"text": "; ".join(m for _, m in found), "found": found})
        return self

    @classmethod
    @override
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the rules that CEL can express."""
        result = handler.resolve_ref_schema(handler(schema))
        validations = [rule.validation() for rule in cls.RULES if rule.cel is not None]
        if validations:
            result["x-kubernetes-validations"] = validations
        return result


@dataclass(frozen=True)
class ListMap:
    """A list whose entries are told apart by one field: it appears once per value, and patches merge by it."""

    key: str

    def _unique(self, entries: tuple[Document, ...]) -> tuple[Document, ...]:
        by_alias = {info.alias or name: name for name, info in type(entries[0]).model_fields.items()} if entries else {}
        _refuse_repeats([getattr(entry, by_alias[self.key]) for entry in entries], self.key)
        return entries

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check after the entries themselves are known to be right."""
        return core_schema.no_info_after_validator_function(self._unique, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Mark the list for the API server, which then checks the same."""
        marks = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [self.key]}
        return handler(schema) | marks


@dataclass(frozen=True)
class ListSet:
    """A list of scalars in which each appears once."""

    def _unique(self, entries: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
        _refuse_repeats(entries, None)
        return entries

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check after the entries themselves are known to be right."""
        return core_schema.no_info_after_validator_function(self._unique, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Mark the list for the API server, which then checks the same."""
        return handler(schema) | {"x-kubernetes-list-type": "set"}


def _refuse_repeats(values: Sequence[Hashable], key: str | None) -> None:
    """Raise an error that names every repeated value and its first place."""
    first: dict[Hashable, int] = {}
    found: list[tuple[Location, str]] = []
    for index, value in enumerate(values):
        if value in first:
            what = f'duplicate {key} "{value}"' if key else f'duplicate "{value}"'
            place: Location = (index, key) if key else (index,)
            found.append((place, f"{what}: entry {first[value]} of this list has it already"))
        first.setdefault(value, index)
    if found:
        raise PydanticCustomError("rules", "{text}", {"text": "; ".join(m for _, m in found), "found": found})
