"""What results mean: figures per model and task, PER, the best, the verdict, the status. Pure."""

from perbench.evaluation.evaluate import evaluate
from perbench.evaluation.settings import Settings, settings_of
from perbench.evaluation.status import status
from perbench.evaluation.values import Evaluation

__all__ = ["Evaluation", "Settings", "evaluate", "settings_of", "status"]
