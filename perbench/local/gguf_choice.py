"""Which file of a repository is served: pure, over the names of its files. The order is documented in docs/local.md."""

import re
from collections.abc import Sequence

ORDER = (
    "Q4_K_M", "Q4_K_S", "Q4_0", "Q4_1", "Q5_K_M", "Q5_K_S", "Q5_0", "Q5_1", "Q6_K", "Q8_0",
    "Q3_K_M", "Q3_K_L", "Q3_K_S", "Q2_K", "BF16", "F16", "F32",
)  # fmt: skip
"""What most people serve on a CPU first, then more bits, then fewer, then none saved."""

_PART = re.compile(r"-\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)
_NOT_A_MODEL = re.compile(r"mmproj|imatrix|ggml-vocab|(^|[-_./])(mtp|draft|lora)[-_.]", re.IGNORECASE)
"""Parts beside a language model that are GGUF files as well: image projectors, importance matrices, vocabularies,
draft heads, adapters."""


def quantisation(name: str) -> str | None:
    """The quantisation that a file's name states, as one of `ORDER`. None: none of these."""
    words = re.split(r"[-./]", name.upper())
    return next((kind for kind in ORDER if kind in words), None)


def choose_gguf(names: Sequence[str]) -> str | None:
    """The file to serve: the first of `ORDER`, and of equals the shortest name. None: no file can be served.

    A file that states no quantisation of `ORDER` comes last. Models split into several files are passed over.
    """
    served = [name for name in names if is_servable(name)]
    return min(served, key=lambda name: (_rank(name), len(name), name), default=None)


def is_servable(name: str) -> bool:
    """Whether a file is a whole language model."""
    return name.lower().endswith(".gguf") and not _PART.search(name) and not _NOT_A_MODEL.search(name)


def is_part(name: str) -> bool:
    """Whether a file is one of several that make up a model."""
    return _PART.search(name) is not None


def _rank(name: str) -> int:
    kind = quantisation(name)
    return len(ORDER) if kind is None else ORDER.index(kind)
