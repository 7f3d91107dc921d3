"""Dashboards and annotations of runs into a Grafana, over its API.

`changes` and `annotations` say what has to be written, from what is there and what there should be: functions of
values. `push` and `annotate` do it step by step with any Grafana, `tell` for an order of the operator (`orders`);
`connection` is one over HTTP, and alone needs grafana-client.
"""

from perbench.grafana.push import Change, Grafana, Verb, push

__all__ = ["Change", "Grafana", "Verb", "push"]
