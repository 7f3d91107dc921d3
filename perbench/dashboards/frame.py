"""What all dashboards have in common: how they are found, what can be chosen on them, how they lead to each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from perbench.dashboards.promql import BENCHMARK, VARIABLES, chosen

DATA_SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
"""The one that is chosen on the dashboard."""
TITLES = {
    "perbench-run-live": "perbench: Run, live",
    "perbench-compare": "perbench: Compare",
    "perbench-history": "perbench: Fleet and history",
    "perbench-operator": "perbench: Operator",
}
"""By uid, which is part of a dashboard's address and never changes."""
GRAFANA = models.DataSourceRef(type_val="grafana", uid="-- Grafana --")
"""Grafana's own data source, of annotations."""
TAG_LIMIT = 100
"""Characters of a tag of an annotation (perbench.grafana.annotations)."""
CHOSEN_RUNS = "annotated"
"""The variable that nobody sees: what annotations of runs are looked for by."""
SOURCES = "perbench_progress_ratio|perbench_result_valid|perbench_benchmark_phase_start_time_seconds"
"""Metrics that between them know every namespace, benchmark, model and task."""


@dataclass(frozen=True)
class Outline:
    """A dashboard without its panels."""

    uid: str
    description: str
    since: str
    """Begin of the time range that is shown at first, such as `now-1h`."""
    refresh: str
    unused: frozenset[str] = frozenset()
    """Variables by which nothing is chosen here: not shown, but handed on by the links."""


def dashboard(outline: Outline, rows: Mapping[str, Sequence[Builder[models.Panel]]]) -> models.Dashboard:
    """The dashboard with these panels, by title of their row."""
    built = (
        builders.Dashboard(TITLES[outline.uid])
        .uid(outline.uid)
        .description(outline.description)
        .tags(["perbench"])
        .time(outline.since, "now")
        .refresh(outline.refresh)
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .variables([*_variables(outline.unused), _chosen_runs()])
        .annotations([_runs()])
        .links([_link(uid, title) for uid, title in TITLES.items() if uid != outline.uid])
    )
    for title, panels in rows.items():
        built.with_row(builders.Row(title))
        for panel in panels:
            built.with_panel(panel)
    made = built.build()
    for number, entry in enumerate(made.panels or (), start=1):
        entry.id_val = number
    return made


def _variables(unused: frozenset[str]) -> list[Builder[models.VariableModel]]:
    """The data source, then each label among the series that the ones before it choose."""
    source = builders.DatasourceVariable("datasource").label("Data source").type("prometheus")
    found: list[Builder[models.VariableModel]] = [source]
    before: list[str] = []
    for name, label in VARIABLES.items():
        series = chosen("", f'__name__=~"{SOURCES}"', of=before)
        variable = (
            builders.QueryVariable(name)
            .label(name.capitalize())
            .datasource(DATA_SOURCE)
            .query({"query": f"label_values({series}, {label})", "refId": name})
            .multi(True)
            .include_all(True)
            .all_value(".*")
            .current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(models.VariableSort.NATURAL_ASC)
        )
        if name in unused:
            variable.hide(models.VariableHide.HIDE_VARIABLE)
        found.append(variable)
        before.append(label)
    return found


def _runs() -> Builder[models.AnnotationQuery]:
    """Runs of the benchmarks that are chosen, where an operator marks them in this Grafana.

    Of several tags Grafana finds what has all or what has any, and a variable with several values is several tags. So
    each benchmark has a tag of its own, and any of those will do.
    """
    target = builders.AnnotationTarget().type("tags").tags([f"${CHOSEN_RUNS}"]).match_any(True).limit(100)
    query = builders.AnnotationQuery().name("Runs").datasource(GRAFANA).enable(True).icon_color("blue")
    return query.target(target)


def _chosen_runs() -> Builder[models.VariableModel]:
    """The tags of the benchmarks that are chosen and were there in the time that is shown: namespace/name. And one that
    no annotation has, for without any tag Grafana would show everybody's."""
    series = f"last_over_time({chosen('perbench_benchmark_phase_start_time_seconds', of=BENCHMARK)}[$__range])"
    benchmarks = f"count by ({', '.join(BENCHMARK)}) ({series})"
    places = f'label_join({benchmarks}, "place", "/", "{BENCHMARK[0]}", "{BENCHMARK[1]}")'
    query = f'query_result(count by (place) ({places}) or label_replace(vector(0), "place", "-", "", ""))'
    return (
        builders.QueryVariable(CHOSEN_RUNS)
        .datasource(DATA_SOURCE)
        .query({"query": query, "refId": CHOSEN_RUNS})
        .regex(f'/place="([^"]{{1,{TAG_LIMIT}}})/')
        .multi(True)
        .include_all(True)
        .current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .hide(models.VariableHide.HIDE_VARIABLE)
    )


def _link(uid: str, title: str) -> Builder[models.DashboardLink]:
    """To another dashboard, with what is chosen here and the time range."""
    link = builders.DashboardLink(title).type(models.DashboardLinkType.LINK).icon("dashboard").url(f"/d/{uid}")
    return link.tooltip("The same choice of namespace, benchmark, model and task").include_vars(True).keep_time(True)
