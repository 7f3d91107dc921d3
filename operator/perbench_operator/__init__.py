"""The operator: watches PERBenchmarks through the Kubernetes API and says whether it is well.

It runs no benchmarks yet. `main` puts the parts together: `watch` (kopf), `api` (the client), `work` (the loop),
`health` (what the probes are told) and `probes` (the routes that tell it).
"""
