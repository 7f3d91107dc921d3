"""Results as text."""

from perbench.results import Results


def to_text(results: Results) -> str:
    """The content of results.json: one line of JSON. `perbench.record.parse` reads it back, equal."""
    return results.model_dump_json(by_alias=True) + "\n"
