"""One API server for all tests here."""

from tests.cluster.plugin import control_plane

__all__ = ["control_plane"]
