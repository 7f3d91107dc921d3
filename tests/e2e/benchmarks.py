"""Benchmarks small enough for a test node: documents as a user writes them."""

from typing import Any

from perbench.api.resource import API_VERSION, KIND
from tests.cluster.images import IMAGES

LLAMA_FILE = "/models/SmolLM2-135M-Instruct.Q4_1.gguf"
"""Inside the image."""
TGI_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
SMALL = {"requests": {"cpu": "450m", "memory": "512Mi"}}
"""What a model asks for; what reads its memory, beside it, asks for 50m."""
CLIENT = {"resources": {"requests": {"cpu": "200m", "memory": "256Mi"}}, "lingerSeconds": 0}
"""What a bench pod asks for. No CPU limit: a throttled load generator fails its own verdict."""
MINUTES = 600_000
PATIENT = {
    "clientErrorMilliseconds": MINUTES,
    "clientErrorTailMilliseconds": MINUTES,
    "readDelayMilliseconds": MINUTES,
    "readDelayTailMilliseconds": MINUTES,
    "concurrencyPercent": 0,
}
"""Limits of validity for a node that may stand still for seconds: what is shown here is not how exact it is."""
SCHEDULING_SECONDS = 20
"""Where it is to pass in vain: less, and the Job's controller and the scheduler may not have said why yet."""
TOPICS = {"name": "topics", "preset": "PackagedTopics", "limit": 12, "maxTokens": 12}
ANSWERS = {"name": "answers", "preset": "PackagedAnswers", "limit": 12, "maxTokens": 12}


def llama(name: str, *args: str, **serving: Any) -> dict[str, Any]:
    """A model behind llama.cpp's server."""
    words = ["-c", "1024", "-np", "2", "-t", "1", *args]
    served = {"runtime": "LlamaCpp", "image": IMAGES["llamacpp"].tag, "args": words, "resources": SMALL}
    return {"name": name, "model": LLAMA_FILE, "serving": served | serving}


def tgi(name: str, *args: str, model: str = TGI_MODEL, **serving: Any) -> dict[str, Any]:
    """A model behind the server that keeps TGI's contract."""
    served = {"runtime": "TGI", "image": IMAGES["tgi-contract"].tag, "args": list(args), "resources": SMALL}
    return {"name": name, "model": model, "serving": served | serving}


def endpoint(name: str, url: str) -> dict[str, Any]:
    """A server that runs already, spoken to as OpenAI's."""
    return {"name": name, "endpoint": {"url": url, "protocol": "OpenAI", "model": "any"}}


def benchmark(
    name: str,
    *models: dict[str, Any],
    tasks: tuple[dict[str, Any], ...] = (TOPICS,),
    repeats: int = 1,
    execution: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A benchmark that asks two requests at a time and takes some ten seconds per model, task and repeat."""
    load: dict[str, Any] = {
        "concurrency": 2,
        "repeats": repeats,
        "warmup": {"requests": 2, "seconds": 0},
    }
    load |= {"client": CLIENT, "validity": PATIENT}
    spec = {"models": list(models), "tasks": list(tasks), "load": load, **more}
    spec |= {"execution": execution} if execution else {}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": spec}
