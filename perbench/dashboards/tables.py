"""Tables: queries at the end of the time range, joined by the labels that they have in common."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from grafana_foundation_sdk.builders import barchart, common, table, xychart
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import xychart as points
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from perbench.dashboards.panels import HEIGHT, Asked, Words, framed, lettered, target

LABELS = {
    "benchmark_namespace": "Namespace", "benchmark": "Benchmark", "model": "Model", "task": "Task", "phase": "Phase",
    "run_id": "Run", "round": "Round", "attempt": "Attempt", "version": "Version", "runtime": "Runtime",
    "runtime_version": "Runtime version", "unit": "Throughput per", "latency_basis": "Latency basis",
    "accelerator": "Accelerators", "blame": "Blame", "reason": "Reason", "verdict": "Verdict",
}  # fmt: skip
"""How labels head their columns."""
POINT_SIZE = 12
RUN_LIVE = "/d/perbench-run-live?${datasource:queryparam}&${__url_time_range}"
"""Where a row about a benchmark leads."""


class Column(NamedTuple):
    """One column of figures."""

    title: str
    expression: str
    unit: str
    mappings: Sequence[models.ValueMapping] = ()


def table_of(words: Words, labels: Sequence[str], *columns: Column, width: int = 24) -> table.Panel:
    """A row for each value of the labels, and a column for each query."""
    panel = framed(table.Panel(), words, width)
    panel.targets(_targets(*columns))
    names = _values(len(columns))
    titles = {**{label: LABELS[label] for label in labels}, **_titles(names, columns)}
    panel.transformations(joined(titles, hidden=()))
    for column in columns:
        properties = [models.DynamicConfigValue(id_val="unit", value=column.unit)]
        if column.mappings:
            properties.append(models.DynamicConfigValue(id_val="mappings", value=list(column.mappings)))
        panel.override_by_name(column.title, properties)
    _lead_on(panel, labels)
    return panel.filterable(True)


def facts(words: Words, labels: Sequence[str], expression: str, width: int = 12) -> table.Panel:
    """What the labels of an info metric say; its value, which is 1, is not shown."""
    panel = framed(table.Panel(), words, width)
    panel.targets(_targets(Column("", expression, words.unit)))
    panel.transformations(joined({label: LABELS[label] for label in labels}, hidden=_values(1)))
    _lead_on(panel, labels)
    return panel.filterable(True)


def grouped_bars(words: Words, label: str, heading: str, *columns: Column) -> barchart.Panel:
    """A group of bars for each value of the label, and in each a bar for each query."""
    panel = framed(barchart.Panel(), words, 24)
    panel.targets(_targets(*columns))
    panel.transformations(joined({label: heading, **_titles(_values(len(columns)), columns)}, hidden=()))
    panel.x_field(heading).orientation(options.VizOrientation.HORIZONTAL).group_width(0.8).bar_width(0.9)
    legend = common.VizLegendOptions().show_legend(True).placement(options.LegendPlacement.BOTTOM)
    panel.legend(legend.display_mode(options.LegendDisplayMode.LIST)).show_value(options.VisibilityMode.AUTO)
    panel.tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI)).x_tick_label_spacing(0)
    return panel.min(0).height(HEIGHT + 2)


def scattered(words: Words, labels: Sequence[str], x: Column, y: Column, mark: Column) -> xychart.Panel:
    """A point for each value of the labels, in the colour of its mark; the labels are told where it is pointed at.

    Each query is asked for the points of all three: Grafana would draw one that lacks a coordinate at 0.
    """
    columns = (x, y, mark)
    framed(panel := xychart.Panel(), words, 8)
    complete = [" and ".join(each.expression for each in (columns[n:] + columns[:n])) for n in range(len(columns))]
    panel.targets(_targets(*(each._replace(expression=text) for each, text in zip(columns, complete, strict=True))))
    titles = {**{label: LABELS[label] for label in labels}, **_titles(_values(len(columns)), columns)}
    panel.transformations(joined(titles, hidden=()))
    named = [xychart.MatcherConfig().id("byName").options(each.title) for each in columns]
    series = xychart.XYSeriesConfig().x(xychart.XychartXYSeriesConfigX().matcher(named[0]))
    series.y(xychart.XychartXYSeriesConfigY().matcher(named[1]))
    series.color(xychart.XychartXYSeriesConfigColor().matcher(named[2]))
    panel.mapping(points.SeriesMapping.AUTO).series([series]).show(points.XYShowMode.POINTS).min(0)
    panel.point_size(xychart.XychartFieldConfigPointSize().fixed(POINT_SIZE)).point_stroke_width(1).fill_opacity(60)
    panel.legend(common.VizLegendOptions().show_legend(False).display_mode(options.LegendDisplayMode.HIDDEN))
    panel.tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.SINGLE))
    panel.override_by_name(x.title, [models.DynamicConfigValue(id_val="unit", value=x.unit)])
    panel.override_by_name(mark.title, [models.DynamicConfigValue(id_val="mappings", value=list(mark.mappings))])
    return panel


def joined(titles: Mapping[str, str], hidden: Sequence[str]) -> list[models.DataTransformerConfig]:
    """One table of all queries, whose columns are named and in this order."""
    kept = {name: number for number, name in enumerate(titles)}
    organize = {
        "renameByName": dict(titles), "indexByName": kept, "excludeByName": dict.fromkeys(("Time", *hidden), True),
    }  # fmt: skip
    return [
        models.DataTransformerConfig(id_val="merge", options={}),
        models.DataTransformerConfig(id_val="organize", options=organize),
        models.DataTransformerConfig(id_val="sortBy", options={"sort": [{"field": next(iter(titles.values()))}]}),
    ]


def _targets(*columns: Column) -> list[Builder[Dataquery]]:
    asked = [Asked(column.expression, "") for column in columns]
    return [target(each, letter).instant().format(PromQueryFormat.TABLE) for each, letter in lettered(asked)]


def _values(count: int) -> list[str]:
    """What Grafana calls the values of so many queries in a table."""
    return ["Value"] if count == 1 else [f"Value #{chr(ord('A') + number)}" for number in range(count)]


def _titles(names: Sequence[str], columns: Sequence[Column]) -> dict[str, str]:
    return {name: column.title for name, column in zip(names, columns, strict=True)}


def _lead_on(panel: table.Panel, labels: Sequence[str]) -> None:
    """A benchmark's name leads to its live run."""
    if not {"benchmark_namespace", "benchmark"} <= set(labels):
        return
    chosen = "&var-namespace=${__data.fields.Namespace}&var-benchmark=${__data.fields.Benchmark}"
    link = {"title": "Its run, live", "url": RUN_LIVE + chosen}
    panel.override_by_name(LABELS["benchmark"], [models.DynamicConfigValue(id_val="links", value=[link])])
