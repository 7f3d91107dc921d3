"""`spec.execution`: how the run is carried out."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from perbench.api.rules import ApiObject


class OnModelFailure(StrEnum):
    """What becomes of a run when one of its models fails."""

    CONTINUE = "Continue"
    STOP = "Stop"


class KeepModels(StrEnum):
    """Which models stay in place after their measurement."""

    NEVER = "Never"
    ON_FAILURE = "OnFailure"


class Deadlines(ApiObject):
    """How long each step may take; after it the model has failed, with a reason that says which step it was."""

    scheduling_seconds: Annotated[int | None, Field(ge=1, le=604_800)] = None
    """Until every pod of a model has a node. Default 1800."""
    image_seconds: Annotated[int | None, Field(ge=1, le=604_800)] = None
    """From there until its containers have started. Default 1800."""
    ready_seconds: Annotated[int | None, Field(ge=1, le=604_800)] = None
    """From there until the server answers, which includes downloading the model. Default 3600."""
    total_seconds: Annotated[int | None, Field(ge=1, le=2_592_000)] = None
    """The whole run, without the time in which it is suspended or waits in the queue. Default 86400."""


class ExecutionSpec(ApiObject):
    """How the run is carried out."""

    rounds: Annotated[int | None, Field(ge=1, le=100)] = None
    """How often every model is started afresh and measured, in counterbalanced order, so that drift of the machine is
    not taken for a difference of the models. Repeats count within a round. Default 1, in local mode 3."""
    on_model_failure: OnModelFailure | None = None
    """`Continue`: the others are measured, and compared without it. `Stop`: the run ends. Default Continue."""
    retries: Annotated[int | None, Field(ge=0, le=10)] = None
    """In a cluster: how often the bench pod of a model is started again when it was lost. Finished stages are not
    measured again. Default 2."""
    suspend: bool | None = None
    """In a cluster: `true` stops the run: its pods end, finished stages stay. `false` lets it go on. Default false."""
    keep_models: KeepModels | None = None
    """In a cluster: `OnFailure` leaves a model that failed in place, for looking at it, until the next run. It
    keeps its accelerators, and its place among the models that the operator allows at once. Default Never."""
    history_limit: Annotated[int | None, Field(ge=0, le=100)] = None
    """In a cluster: how many ended runs keep their result objects, besides the last and those that are somebody's
    baseline. Default 3."""
    deadlines: Deadlines | None = None
    """In a cluster: how long each step may take."""
