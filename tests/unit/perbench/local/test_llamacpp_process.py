import subprocess
import sys

import xllamacpp

from perbench.local.llamacpp_process import parameters
from perbench.runtimes.llamacpp_local import CACHE_TYPES, FLASH_ATTENTION, LocalSettings

OWN = {"model": "/models/m.gguf", "port": 4711}


def settings(**changes: object) -> dict[str, object]:
    given = LocalSettings.model_validate({"slots": 3, "context": 768, "threads": 5, **changes})
    return {**given.model_dump(by_alias=False), **OWN}


def test_every_setting_reaches_the_library() -> None:
    params = parameters(
        xllamacpp,
        settings(cache_type_k="q8_0", cache_type_v="q4_0", flash_attention="on", batch=256, ubatch=64),
    )
    assert params.model.path == "/models/m.gguf"
    assert (list(params.hostnames), params.port) == (["127.0.0.1"], 4711)
    assert (params.n_parallel, params.n_ctx) == (3, 768)
    assert (params.cpuparams.n_threads, params.cpuparams_batch.n_threads) == (5, 5)
    assert params.cache_type_k == xllamacpp.ggml_type.GGML_TYPE_Q8_0
    assert params.cache_type_v == xllamacpp.ggml_type.GGML_TYPE_Q4_0
    assert params.flash_attn_type == xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
    assert (params.n_batch, params.n_ubatch) == (256, 64)


def test_what_is_recorded_as_fixed_is_fixed() -> None:
    params = parameters(xllamacpp, settings())
    assert (params.cache_prompt, params.cache_ram_mib, params.n_ctx_checkpoints) == (False, 0, 0)
    assert (params.fit_params, params.n_gpu_layers) == (False, 0)


def test_the_library_knows_every_value_of_the_flag_table() -> None:
    for kind in CACHE_TYPES:
        name = f"GGML_TYPE_{kind.upper()}"
        assert parameters(xllamacpp, settings(cache_type_k=kind)).cache_type_k == getattr(xllamacpp.ggml_type, name)
    kinds = {str(parameters(xllamacpp, settings(flash_attention=kind)).flash_attn_type) for kind in FLASH_ATTENTION}
    assert len(kinds) == len(FLASH_ATTENTION)


def test_the_measured_process_carries_nothing_of_perbench_that_weighs() -> None:
    code = "import sys, perbench.local.llamacpp_process; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name for name in loaded if name.partition(".")[0] in {"numpy", "pydantic", "typer", "rich"}} == set()


def test_without_settings_it_ends() -> None:
    command = [sys.executable, "-m", "perbench.local.llamacpp_process"]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, b"", b"")
