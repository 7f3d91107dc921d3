"""Grafana dashboards as code (docs/grafana.md). Pure: what they show in, Grafana's own types out.

Needs grafana-foundation-sdk, of the extras `dev` and `grafana`. The chart has them as JSON, generated where the code is
worked on; `perbench grafana` makes them anew. Nothing else of perbench imports this package.
"""

from perbench.dashboards.catalogue import DASHBOARDS, as_json
from perbench.dashboards.queries import ANYTHING, Query, queries

__all__ = ["ANYTHING", "DASHBOARDS", "Query", "as_json", "queries"]
