"""Packages that only some commands need, and that an installation may lack."""

from importlib.util import find_spec

from perbench.failures import UsageError


def need(module: str, what: str, extra: str) -> None:
    """Raises UsageError where `module` is not installed: `what` it is, and the extra of perbench that brings it."""
    if find_spec(module) is None:
        raise UsageError(f"{what} is not installed: pip install 'perbench[{extra}]'")
