"""What the models are asked and how their answers are judged: pure, except that a dataset's file is read."""

from perbench_bench.tasks.resolve import Item, ResolvedTask, resolve
from perbench_bench.tasks.scorers import score

__all__ = ["Item", "ResolvedTask", "resolve", "score"]
