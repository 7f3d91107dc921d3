"""`spec.per`: how the Performance-Efficiency Ratio is computed. Changing it recomputes, and measures nothing again."""

from perbench.api.rules import ApiObject
from perbench.api.text import Name


class PerSpec(ApiObject):
    """How the Performance-Efficiency Ratio is computed. Changing it recomputes, and measures nothing again."""

    reference: Name | None = None
    """The model that the others are compared with on the Reference scale (its own value there is 1).
    Default: the first model."""
