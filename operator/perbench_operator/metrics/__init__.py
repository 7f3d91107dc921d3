"""What the operator tells Prometheus: of itself, and of the benchmarks that it knows.

`results` and `standing` read one benchmark, as functions of its JSON; `collector` puts them, and the operator's own
state, into the client library's words; `routes` answers scrapes. Nothing is kept for it: a scrape reads what is there.
"""

from perbench_operator.metrics.collector import OperatorCollector, OperatorState
from perbench_operator.metrics.families import FAMILIES, Family
from perbench_operator.metrics.reconciles import Reconciles
from perbench_operator.metrics.routes import metric_routes

__all__ = ["FAMILIES", "Family", "OperatorCollector", "OperatorState", "Reconciles", "metric_routes"]
