"""Draws of accuracy where all items of a run have the same score, and the bootstrap over items sees no error.

That all of n items were right does not say that all items are. Items unlike them may have a share p. Drawn as
p = 1 - U^(1/n), U uniform, its 97.5 % point is the exact upper end for 0 of n (Clopper & Pearson 1934), about 3.7 / n:
the interval errs on the wide side.
"""

from collections.abc import Sequence

import numpy as np

from perbench.per.figure_draws import ACCURACY, Chance, FigureDraws
from perbench.per.replicates import FloatArray, Replicates


def accuracies(draws: FigureDraws, replicates: Sequence[Replicates], chance: Chance) -> FloatArray:
    """The draws of accuracy, shape (draws, rows), with those of even scores widened by items that were not seen.

    Such items score 0 or 1, whichever is not the score seen; either, by chance, where that lies between.
    """
    drawn = draws.figures[ACCURACY].copy()
    count = len(drawn)
    for column, own in enumerate(replicates):
        if not draws.even_scores[column]:
            continue
        stream = chance.stream("unseen items", own.model)
        uniform = (stream.permutation(count) + 0.5) / count  # evenly spaced: the ends are not left to chance
        share = 1 - uniform ** (1 / own.clusters)
        score = drawn[:, column]
        unlike = np.where(score <= 0, 1.0, np.where(score >= 1, 0.0, stream.integers(0, 2, count)))
        drawn[:, column] = score * (1 - share) + unlike * share
    return drawn
