"""Statistics of observations: pure functions of arrays, no input or output, nothing of Kubernetes or of servers.

`percentiles`: when a percentile may be given and what it is. `histogram`: the log-linear bins of the load engine.
`means`: averages of ratios.
"""
