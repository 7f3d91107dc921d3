"""`kubectl perbench`: benchmarks in a cluster, from outside of it. The only part of perbench that talks to Kubernetes.

`connection` is the rim; all else here are functions of the objects that it reads.
"""
