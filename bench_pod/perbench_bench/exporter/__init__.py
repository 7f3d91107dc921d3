"""The metrics of a bench pod for Prometheus (docs/metrics.md).

`buckets`, `counts` and `families` are functions of values: arrays of the load engine go in, metric families come out.
`board` holds what there is to show, `server` answers scrapes.
"""

from perbench_bench.exporter.board import Board
from perbench_bench.exporter.families import RunLabels
from perbench_bench.exporter.server import MetricsServer

__all__ = ["Board", "MetricsServer", "RunLabels"]
