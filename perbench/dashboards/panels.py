"""The kinds of panel that the dashboards are made of."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from grafana_foundation_sdk.builders import (
    barchart,
    bargauge,
    common,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
    xychart,
)
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmap_options
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from perbench.dashboards.frame import DATA_SOURCE

TOKENS_PER_SECOND = "suffix: tok/s"
ITEMS_PER_SECOND = "suffix: items/s"
HEIGHT = 8
"""Rows of Grafana's grid. Its width is 24."""
GOOD, WARNING, BAD, PLAIN = "green", "orange", "red", "gray"
VALID_OR_NOT: list[models.ValueMapping] = [
    models.ValueMap(
        options={
            "0": models.ValueMappingResult(text="not valid", color=BAD, index=0),
            "1": models.ValueMappingResult(text="valid", color=GOOD, index=1),
        }
    )
]
"""What `perbench_result_valid` says."""
FRONT_OR_NOT: list[models.ValueMapping] = [
    models.ValueMap(
        options={
            "0": models.ValueMappingResult(text="not on it", color=PLAIN, index=0),
            "1": models.ValueMappingResult(text="on it", color=GOOD, index=1),
        }
    )
]
"""What `perbench_result_pareto_optimal` says."""
WORSE_OR_NOT: list[models.ValueMapping] = [
    models.ValueMap(
        options={
            "0": models.ValueMappingResult(text="not worse", color=GOOD, index=0),
            "1": models.ValueMappingResult(text="worse", color=BAD, index=1),
        }
    )
]
"""What `perbench_result_regressed` says."""

Framed = TypeVar(
    "Framed",
    barchart.Panel,
    bargauge.Panel,
    heatmap.Panel,
    stat.Panel,
    statetimeline.Panel,
    table.Panel,
    timeseries.Panel,
    xychart.Panel,
)


class Asked(NamedTuple):
    """A query, and what its series are called."""

    expression: str
    legend: str


class Words(NamedTuple):
    """What a panel says of itself."""

    title: str
    description: str
    unit: str


def lines(words: Words, *asked: Asked, width: int = 12, stacked: bool = False) -> timeseries.Panel:
    """Figures over time."""
    legend = common.VizLegendOptions().show_legend(True).placement(options.LegendPlacement.BOTTOM)
    tooltip = common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI)
    panel = framed(timeseries.Panel(), words, width)
    panel.legend(legend.display_mode(options.LegendDisplayMode.LIST)).tooltip(tooltip).min(0)
    panel.line_width(1).fill_opacity(60 if stacked else 5).show_points(options.VisibilityMode.AUTO)
    if stacked:
        panel.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL))
    return panel.targets([target(each, letter) for each, letter in lettered(asked)])


def dashed(panel: timeseries.Panel, *letters: str) -> timeseries.Panel:
    """With these queries' lines dashed: limits, and ends of intervals."""
    for letter in letters:
        style = {"fill": "dash", "dash": [6, 6]}
        panel.override_by_query(letter, [models.DynamicConfigValue(id_val="custom.lineStyle", value=style)])
    return panel


def limited(panel: timeseries.Panel, limit: float) -> timeseries.Panel:
    """With a dashed line at a limit, and what is above it in red."""
    style = common.GraphThresholdsStyleConfig().mode(options.GraphThresholdsStyleMode.DASHED)
    return panel.thresholds(above(limit)).thresholds_style(style)


def above(limit: float) -> builders.ThresholdsConfig:
    """Good up to a limit, bad from there on."""
    steps = [models.Threshold(value=None, color=GOOD), models.Threshold(value=limit, color=BAD)]
    return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def heat(words: Words, expression: str) -> heatmap.Panel:
    """A histogram over time. The unit is that of the buckets' ends."""
    panel = framed(heatmap.Panel(), words, 12)
    colors = heatmap.HeatmapColorOptions().mode(heatmap_options.HeatmapColorMode.SCHEME).scheme("Oranges").steps(64)
    rows = heatmap.RowsHeatmapOptions().layout(options.HeatmapCellLayout.AUTO)
    panel.calculate(False).color(colors).rows_frame(rows).y_axis(heatmap.YAxisConfig().unit(words.unit))
    panel.cell_values(heatmap.CellValues().unit(units.Short)).show_legend().mode(options.TooltipDisplayMode.SINGLE)
    return panel.with_target(target(Asked(expression, "{{le}}"), "A").format(PromQueryFormat.HEATMAP))


def bars(words: Words, *asked: Asked, width: int = 12) -> bargauge.Panel:
    """Figures at the end of the time range, side by side."""
    panel = framed(bargauge.Panel(), words, width)
    panel.orientation(options.VizOrientation.HORIZONTAL).display_mode(options.BarGaugeDisplayMode.BASIC).min(0)
    panel.color_scheme(builders.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC))
    panel.reduce_options(last()).name_placement(options.BarGaugeNamePlacement.TOP).show_unfilled(True)
    return panel.targets([target(each, letter).instant() for each, letter in lettered(asked)])


def number(words: Words, asked: Asked, width: int = 6) -> stat.Panel:
    """Figures at the end of the time range, as figures."""
    panel = framed(stat.Panel(), words, width).reduce_options(last()).graph_mode(options.BigValueGraphMode.NONE)
    return panel.with_target(target(asked, "A").instant())


def states(words: Words, asked: Asked, mappings: list[models.ValueMapping]) -> statetimeline.Panel:
    """What held when."""
    panel = framed(statetimeline.Panel(), words, 24).mappings(mappings).merge_values(True)
    panel.show_value(options.VisibilityMode.NEVER).row_height(0.8)
    return panel.with_target(target(asked, "A"))


def framed(panel: Framed, words: Words, width: int) -> Framed:
    """With title, description, unit, data source and size."""
    panel.title(words.title).description(words.description).unit(words.unit).datasource(DATA_SOURCE)
    return panel.span(width).height(HEIGHT)


def target(asked: Asked, letter: str) -> prometheus.Dataquery:
    """A query of a panel."""
    query = prometheus.Dataquery().datasource(DATA_SOURCE).ref_id(letter)
    return query.expr(asked.expression).legend_format(asked.legend).range()


def lettered(asked: Sequence[Asked]) -> list[tuple[Asked, str]]:
    """Each with the letter by which a panel refers to it."""
    return [(each, chr(ord("A") + number)) for number, each in enumerate(asked)]


def last() -> common.ReduceDataOptions:
    """The last value of each series."""
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
