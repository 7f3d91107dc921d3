"""A model's `config.json` at the Hugging Face hub, at the commit that its server has loaded."""

import os
import time
from collections.abc import Mapping
from typing import Any

import httpx2
import huggingface_hub
import orjson
from huggingface_hub.errors import OfflineModeIsEnabled
from pydantic import JsonValue

from perbench.failures import shorten
from perbench.plan import HubModel
from perbench_bench.device.footprint import ModelFiles

NAME = "config.json"
TIMEOUT_SECONDS = 10.0
"""Of waiting for the next bytes, and of the whole but for the last of them. The model is ready: its load is not to
wait for longer."""
LARGEST = 4 * 1024 * 1024
"""Bytes; real ones have a few thousand."""


def model_files(model: HubModel | None, source: Mapping[str, JsonValue]) -> ModelFiles:
    """What is known of the files of a model; `source`: what the hub has said of it. Never raises for the hub.

    A hub that did not say how large the weights are is asked nothing: without them there is no figure.
    """
    if model is None:
        return ModelFiles()
    size, revision = source.get("bytes"), source.get("revision")
    if not isinstance(size, int) or size <= 0:
        return ModelFiles(reason="the hub did not say how large its weights are")
    try:
        return ModelFiles(size, _fetched(model.id, revision if isinstance(revision, str) else model.revision))
    except (OfflineModeIsEnabled, httpx2.HTTPError, OSError, ValueError) as error:
        first = (str(error).splitlines() or [""])[0]
        return ModelFiles(size, reason=shorten(f"the hub gave no {NAME}: {type(error).__name__}: {first}", 300))


def _fetched(name: str, revision: str | None) -> dict[str, Any]:
    """The content. Raises what the hub's client raises, OSError, and ValueError for what is none."""
    url = huggingface_hub.hf_hub_url(name, NAME, revision=revision, endpoint=os.environ.get("HF_ENDPOINT"))
    token, content = huggingface_hub.get_token(), b""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    session, latest = huggingface_hub.get_session(), time.monotonic() + TIMEOUT_SECONDS
    with session.stream("GET", url, headers=headers, timeout=TIMEOUT_SECONDS, follow_redirects=True) as response:
        response.raise_for_status()
        for part in response.iter_bytes():
            content += part
            if len(content) > LARGEST:
                raise ValueError(f"it has more than {LARGEST} bytes")
            if time.monotonic() > latest:
                raise TimeoutError(f"it takes longer than {TIMEOUT_SECONDS:g} s")
    found = orjson.loads(content)
    if not isinstance(found, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - of the content
    return found
