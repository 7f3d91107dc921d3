"""Grafana is told of runs, beside everything else: nothing waits for it.

`desk` keeps what is yet to be told and when, as functions of values and times; `child` has the program that speaks to
Grafana carry an order out; `teller` brings the two together.
"""

from perbench_operator.grafana.child import Child
from perbench_operator.grafana.teller import Teller

__all__ = ["Child", "Teller"]
