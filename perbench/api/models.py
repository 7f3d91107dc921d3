"""`spec.models[]`: what is compared."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from perbench.api.pods import SecretKeyRef, VolumePath
from perbench.api.rules import ApiObject, Rule
from perbench.api.serving import Serving
from perbench.api.text import MODEL, REVISION, URL, Name

PACKAGED_PREFIX = "packaged:"
PATH_PREFIXES = ("./", "/")


class Protocol(StrEnum):
    """How a server is spoken to."""

    TGI = "TGI"
    OPENAI = "OpenAI"
    OPENAI_CHAT = "OpenAIChat"


class Endpoint(ApiObject):
    """A server that already runs. perbench loads it and starts nothing."""

    url: Annotated[str, Field(pattern=URL, max_length=2048)]
    """Where it answers, without the route: for `OpenAI` and `OpenAIChat` the part before `/v1`."""
    protocol: Protocol
    """How it is spoken to: `TGI` (/generate_stream), `OpenAI` (/v1/completions) or `OpenAIChat`
    (/v1/chat/completions)."""
    model: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    """The name by which the server knows the model. Needed with `OpenAI` and `OpenAIChat`."""
    accelerators: Annotated[int | None, Field(ge=1, le=4096)] = None
    """How many accelerators stand behind it; throughput is then given per accelerator, otherwise per endpoint."""
    api_key_secret_key_ref: SecretKeyRef | None = None
    """In a cluster: the key that is sent as a bearer token. Local mode takes it from `PERBENCH_API_KEY`."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            message="protocol OpenAI and OpenAIChat need the name of the model: set endpoint.model",
            cel="self.protocol == 'TGI' || has(self.model)",
            holds=lambda e: e.protocol is Protocol.TGI or e.model is not None,
        ),
    )


class ModelSpec(ApiObject):
    """One entry of the comparison: a model and how it is served. A model served two ways is two entries."""

    name: Name
    """What results call it; unique in the list."""
    model: Annotated[str | None, Field(pattern=MODEL, max_length=512)] = None
    """What to serve: a Hugging Face id (`org/name`), a GGUF file (`./model.gguf` beside the benchmark's file,
    or `/path/model.gguf`: on this machine in local mode, else inside the image), or `packaged:smollm2-135m`."""
    revision: Annotated[str | None, Field(pattern=REVISION, max_length=128)] = None
    """Branch, tag or commit at the hub. Default: the repository's main branch; the commit found is recorded."""
    volume: VolumePath | None = None
    """In a cluster, in place of `model`: model files on a PersistentVolumeClaim."""
    endpoint: Endpoint | None = None
    """A server that already runs, in place of `model`."""
    serving: Serving | None = None
    """Overrides `spec.serving` for this model: `env`, `nodeSelector` and `resources` are merged by name, every
    other field replaces it. With another `runtime`, `image` and `args` of `spec.serving` do not hold for it."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            message="give exactly one of model, volume and endpoint",
            cel="[has(self.model), has(self.volume), has(self.endpoint)].exists_one(given, given)",
            holds=lambda m: sum(kind is not None for kind in (m.model, m.volume, m.endpoint)) == 1,
        ),
        Rule(
            message="revision goes with a Hugging Face id in model only",
            cel="!has(self.revision) || (has(self.model) && !self.model.startsWith('packaged:')"
            " && !self.model.startsWith('./') && !self.model.startsWith('/'))",
            holds=lambda m: m.revision is None or _is_hub_id(m.model),
            field="revision",
        ),
        Rule(
            message="an endpoint is served by somebody else: leave serving out",
            cel="!has(self.serving) || !has(self.endpoint)",
            holds=lambda m: m.serving is None or m.endpoint is None,
            field="serving",
        ),
    )


def _is_hub_id(model: str | None) -> bool:
    return model is not None and not model.startswith((PACKAGED_PREFIX, *PATH_PREFIXES))
