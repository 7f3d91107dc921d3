"""One node for all tests here."""

from tests.cluster.plugin import cluster, own_node, pods

__all__ = ["cluster", "own_node", "pods"]
