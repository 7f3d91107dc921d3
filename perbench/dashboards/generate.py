"""Writes the dashboards of the chart: `python -m perbench.dashboards.generate [--check]`, from the root."""

import sys
from pathlib import Path

from perbench.api.generate import write
from perbench.dashboards.catalogue import DASHBOARDS, as_json

FOLDER = Path("charts/perbench/files/dashboards")
"""Inside the chart, for Helm reads nothing else."""


def generated(root: Path) -> dict[Path, str]:
    """What each generated file below `root` should hold."""
    return {root / FOLDER / f"{uid}.json": as_json(make()) for uid, make in DASHBOARDS.items()}


if __name__ == "__main__":
    sys.exit(write(generated(Path()), "python -m perbench.dashboards.generate", __doc__))
