"""What the Hugging Face hub says of a model: the commit, its licence, how many bytes its weights have."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.hf_api import ModelInfo
from pydantic import JsonValue

from perbench.failures import shorten
from perbench.plan import HubModel
from perbench.planning import licence_text

TIMEOUT_SECONDS = 10.0
"""The model loads meanwhile; a hub that is out of reach must not keep the load from beginning."""
WEIGHTS = (".safetensors", ".bin")
"""Endings of weight files, the preferred first: a repository often has both for other programs."""


HubAnswer = tuple[dict[str, JsonValue], str | None]
"""What identifies the model, and why the hub did not say it, where it did not."""


def hub_facts(model: HubModel | None) -> HubAnswer:
    """Nothing for a model that is not of the hub. Blocks for up to 10 s; never raises for the hub."""
    if model is None:
        return {}, None
    known = _known(model)
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        return known, "the hub was not asked about the model: HF_HUB_OFFLINE is set"
    try:
        information = huggingface_hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT")).model_info(
            model.id, revision=model.revision, files_metadata=True, timeout=TIMEOUT_SECONDS
        )
    except (HfHubHTTPError, OfflineModeIsEnabled, httpx2.HTTPError, OSError, ValueError) as error:
        first = (str(error).splitlines() or [""])[0]
        return known, shorten(f"the hub did not say what {model.id} is: {type(error).__name__}: {first}", 300)
    return known | facts_of(information), None


def not_in_time(model: HubModel | None) -> HubAnswer:
    """What is known where nobody waits for the hub any longer."""
    return (_known(model), "the hub did not answer before the model was ready") if model else ({}, None)


def as_loaded(source: Mapping[str, JsonValue], revision: str | None) -> dict[str, JsonValue]:
    """The source with the commit that the server says it has loaded, where it says one: a branch may have moved."""
    return {**source, "revision": revision} if source and revision else dict(source)


def _known(model: HubModel) -> dict[str, JsonValue]:
    known: dict[str, JsonValue] = {"kind": "Hub", "model": model.id}
    return known | ({"revision": model.revision} if model.revision is not None else {})


def facts_of(information: ModelInfo) -> dict[str, JsonValue]:
    """What matters of the hub's answer; what it does not say is left out."""
    sizes = {sibling.rfilename: sibling.size for sibling in information.siblings or ()}
    found: dict[str, Any] = {
        "revision": information.sha,
        "licence": licence_text(information.card_data.get("license") if information.card_data else None),
        "gated": information.gated or None,
        "bytes": weight_bytes([(name, size) for name, size in sizes.items() if size is not None]),
    }
    return {key: value for key, value in found.items() if value is not None}


def weight_bytes(files: Sequence[tuple[str, int]]) -> int | None:
    """Bytes of the weights that a server loads, of (name, bytes) of all files. None: none are known by their names.

    Only files at the top count (folders hold originals or other formats), and `consolidated` ones only where there are
    no others: they are the same weights once more.
    """
    top = [(name, size) for name, size in files if "/" not in name]
    for ending in WEIGHTS:
        found = [(name, size) for name, size in top if name.endswith(ending) and name != "training_args.bin"]
        several = [size for name, size in found if not name.startswith("consolidated")]
        if found:
            return sum(several or [size for _, size in found])
    return None
