"""What results mean: figures per model and task, PER, the best, the verdict, the status. Pure."""

from perbench.evaluation.evaluate import evaluate
from perbench.evaluation.status import status
from perbench.evaluation.values import Evaluation

__all__ = ["Evaluation", "evaluate", "status"]
