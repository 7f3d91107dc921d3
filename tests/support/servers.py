"""Model servers of tests: the truth server, with the scripts that several tests share."""

from contextlib import AbstractContextManager

from perbench_bench.truth import TruthProcess, truth_server

SPORT = ("sport", " ", "is", " ", "the", " ", "topic", ".")


def sport_server(kind: str | None = None, after: int = 0, gap_ms: float = 1) -> AbstractContextManager[TruthProcess]:
    """Says that sport is the topic, in 8 tokens; with the fault `kind` from request `after` on."""
    return truth_server(
        {
            "model": "scripted",
            "timing": {"firstMs": gap_ms, "gapMs": gap_ms},
            "answer": {"tokens": len(SPORT), "texts": list(SPORT)},
            "faults": [{"kind": kind, "after": after}] if kind else [],
        }
    )
