"""Pages of metrics as a bench pod shows them, with the figures that a test needs."""


def page(
    *, requests: int, failed: int = 0, tokens: int = 0, progress: float = 0.5, in_flight: int = 4, bare: bool = False,
    model: str = "small",
) -> str:  # fmt: skip
    """One model and task. A quarter of the requests had their first token within 0.1 s, the rest within 0.2 s.

    `bare`: nothing has been measured yet.
    """
    own = f'benchmark_namespace="ml",benchmark="night",model="{model}"'
    of = f'{own},task="topics"'
    info = f'perbench_run_info{{{own},run_id="0123456789",round="0",attempt="1",runtime="TGI"}} 1'
    lines = [info, f"perbench_progress_ratio{{{of}}} {progress}"]
    if not bare:
        early = requests // 4
        lines += [
            f'perbench_requests_total{{{of},outcome="Success"}} {requests}',
            f'perbench_requests_total{{{of},outcome="Timeout"}} {failed}',
            f"perbench_output_tokens_total{{{of}}} {tokens}",
            f"perbench_requests_in_flight{{{of}}} {in_flight}",
            f'perbench_model_memory_bytes{{{of},basis="Footprint"}} 2e8',
            f"perbench_model_memory_limit_bytes{{{of}}} 4e8",
            f'perbench_time_to_first_token_seconds_bucket{{{of},le="0.1"}} {early}',
            f'perbench_time_to_first_token_seconds_bucket{{{of},le="0.2"}} {requests}',
            f'perbench_time_to_first_token_seconds_bucket{{{of},le="+Inf"}} {requests}',
        ]
    return "\n".join(lines) + "\n"
