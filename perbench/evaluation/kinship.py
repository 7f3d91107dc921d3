"""What must be alike for models to be ranked together: the unit of throughput, and how prompts arrive."""

from collections.abc import Mapping

from pydantic import JsonValue

from perbench.api.defaults import Resolved
from perbench.results import ModelRecord, Results

ENDPOINT_PROMPTS = {"TGI": "Completion", "OpenAI": "Completion", "OpenAIChat": "Chat"}
"""What an endpoint's protocol does to prompts, whatever `load.api` says."""

Kinship = tuple[str, str]
"""Unit of throughput, kind of prompt."""


def kinships_of(results: Results) -> dict[str, Kinship]:
    """Of every model of a run."""
    return {model.name: _kinship(model, results.spec, results.resolved) for model in results.models}


def _kinship(model: ModelRecord, spec: Mapping[str, JsonValue], resolved: Resolved) -> Kinship:
    """An endpoint's protocol decides how its prompts arrive."""
    entries = spec.get("models")
    entry = next(
        (entry for entry in entries if isinstance(entry, dict) and entry.get("name") == model.name)
        if isinstance(entries, list)
        else iter(()),
        None,
    )
    endpoint = entry.get("endpoint") if entry else None
    protocol = endpoint.get("protocol") if isinstance(endpoint, dict) else None
    prompts = ENDPOINT_PROMPTS.get(protocol) if isinstance(protocol, str) else None
    return (model.throughput_unit, prompts or resolved.api.value)
