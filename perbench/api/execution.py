"""`spec.execution`: how the run is carried out."""

from typing import Annotated

from pydantic import Field

from perbench.api.rules import ApiObject


class ExecutionSpec(ApiObject):
    """How the run is carried out."""

    rounds: Annotated[int | None, Field(ge=1, le=100)] = None
    """How often every model is started afresh and measured, in counterbalanced order, so that drift of the machine is
    not taken for a difference of the models. Repeats count within a round. Default 1, in local mode 3."""
