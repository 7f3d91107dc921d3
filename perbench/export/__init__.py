"""Results in the formats of other programs. Pure: an evaluation in, text out."""

from perbench.export.llmd import llmd_reports
from perbench.export.table import to_csv

__all__ = ["llmd_reports", "to_csv"]
