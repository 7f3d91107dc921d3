"""Writes what is generated for the charts: `python -m perbench_operator.generate [--check]`, from the root."""

import sys
from pathlib import Path

from perbench.api.generate import write
from perbench_operator.chart_files import crd_template, values_page, values_schema, values_yaml
from perbench_operator.chart_values import ChartValues, CrdChartValues

CHARTS = Path("charts")


def generated(root: Path) -> dict[Path, str]:
    """What each generated file below `root` should hold."""
    charts = root / CHARTS
    return {
        charts / "perbench-crds/templates/perbenchmarks.yaml": crd_template(),
        charts / "perbench-crds/values.yaml": values_yaml(CrdChartValues()),
        charts / "perbench-crds/values.schema.json": values_schema(CrdChartValues),
        charts / "perbench/values.yaml": values_yaml(ChartValues()),
        charts / "perbench/values.schema.json": values_schema(ChartValues),
        root / "docs/chart-values.md": values_page({"perbench": ChartValues(), "perbench-crds": CrdChartValues()}),
    }


if __name__ == "__main__":
    sys.exit(write(generated(Path()), "python -m perbench_operator.generate", __doc__))
