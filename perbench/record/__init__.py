"""results.json: text to `Results` and back, in one place. Pure; `perbench.results_file` reads the file."""

from perbench.record.reading import parse
from perbench.record.writing import to_text

__all__ = ["parse", "to_text"]
