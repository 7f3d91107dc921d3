"""Every query of the dashboards, as Prometheus is asked it."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel
from grafana_foundation_sdk.models.prometheus import Dataquery

from perbench.dashboards.catalogue import DASHBOARDS
from perbench.dashboards.promql import VARIABLES

ANYTHING: Mapping[str, str] = {**dict.fromkeys(VARIABLES, ".*"), "__rate_interval": "1m"}
"""Values of Grafana's variables with which nothing is left out: scrapes at most 15 seconds apart."""


class Query(NamedTuple):
    """One query."""

    dashboard: str
    """Its uid."""
    panel: str
    """Its title."""
    expression: str
    """PromQL, without variables."""


def queries(variables: Mapping[str, str] = ANYTHING) -> tuple[Query, ...]:
    """The queries of every panel, with the variables replaced. KeyError: one has no value."""
    found = []
    for uid, make in DASHBOARDS.items():
        for panel in panels(make()):
            found += [Query(uid, panel.title or "", filled(text, variables)) for text in expressions(panel)]
    return tuple(found)


def panels(dashboard: Dashboard) -> Iterator[Panel]:
    """Its panels, without the rows that they stand in."""
    yield from (entry for entry in dashboard.panels or () if isinstance(entry, Panel))


def expressions(panel: Panel) -> Iterator[str]:
    """Its queries, with their variables."""
    yield from (each.expr for each in panel.targets or () if isinstance(each, Dataquery))


def filled(text: str, variables: Mapping[str, str]) -> str:
    """A query with the values of the variables."""
    return re.sub(r"\$\{?(\w+)\}?", lambda found: variables[found[1]], text)
