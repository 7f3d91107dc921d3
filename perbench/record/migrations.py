"""From the format of an older perbench to this one: one small function per step of the version.

A step takes the whole document of its version, as plain JSON, and gives that of the next. It never looks at a model of
today: those change, and what version 1 was does not. Files of every released version stay in tests/golden/results.

Version 1 is the first that was released, so there is no step yet.
"""

from collections.abc import Callable, Mapping

from pydantic import JsonValue

Document = dict[str, JsonValue]
Step = Callable[[Document], Document]

STEPS: Mapping[int, Step] = {}
"""By the version they start from: `STEPS[1]` makes a document of version 2."""


def migrate(document: Document, version: int, current: int, steps: Mapping[int, Step] = STEPS) -> Document:
    """Lead a document of `version` to `current`, step by step. The result says that it is `current`.

    Raises KeyError where a step is missing, which is a mistake of the program.
    """
    for start in range(version, current):
        document = {**steps[start](document), "schemaVersion": start + 1}
    return document
