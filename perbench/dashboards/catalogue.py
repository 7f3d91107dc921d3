"""All dashboards."""

import json
from collections.abc import Callable, Mapping

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from perbench.dashboards.compare import compare
from perbench.dashboards.history import history
from perbench.dashboards.operators import operator
from perbench.dashboards.run_live import run_live

DASHBOARDS: Mapping[str, Callable[[], Dashboard]] = {
    "perbench-run-live": run_live,
    "perbench-compare": compare,
    "perbench-history": history,
    "perbench-operator": operator,
}
"""What makes each, by its uid."""


def as_json(dashboard: Dashboard) -> str:
    """The text that Grafana reads."""
    return json.dumps(dashboard, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
