"""The images of model servers that perbench knows, all in one place: they move, so each has the day it was looked at.

By runtime, then by the domain of the accelerators' resource; `cpu` without accelerators. A benchmark that names an
image uses that one.
"""

from collections.abc import Mapping
from datetime import date

from perbench.api.serving import Runtime
from perbench.runtimes.base import CPU, Image

NVIDIA, AMD = "nvidia.com", "amd.com"
LOOKED_AT = date(2026, 11, 24)
TGI_REPOSITORY = "ghcr.io/huggingface/text-generation-inference"

IMAGES: Mapping[Runtime, Mapping[str, Image]] = {
    Runtime.TGI: {
        NVIDIA: Image(f"{TGI_REPOSITORY}:3.3.7", LOOKED_AT),
        AMD: Image(f"{TGI_REPOSITORY}:3.3.7-rocm", LOOKED_AT),
        CPU: Image(f"{TGI_REPOSITORY}:3.3.7-intel-cpu", LOOKED_AT),
    },
    Runtime.VLLM: {NVIDIA: Image("vllm/vllm-openai:v0.33.0", LOOKED_AT)},
    Runtime.SGLANG: {NVIDIA: Image("lmsysorg/sglang:v0.5.23", LOOKED_AT)},
    Runtime.LLAMA_CPP: {
        CPU: Image("ghcr.io/ggml-org/llama.cpp:server", LOOKED_AT),
        NVIDIA: Image("ghcr.io/ggml-org/llama.cpp:server-cuda", LOOKED_AT),
        AMD: Image("ghcr.io/ggml-org/llama.cpp:server-rocm", LOOKED_AT),
    },
    Runtime.CUSTOM: {},
}
