"""The model servers' images in pods, as users run them: each starts as who it is told to be, is ready, and answers."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cluster.api import Kubectl
from tests.cluster.images import IMAGES
from tests.cluster.pods import RESTRICTED, container, pod, service, wait_for

ASK = """
import json, sys, time, urllib.request
request = urllib.request.Request(sys.argv[1], sys.argv[2].encode(), {"Content-Type": "application/json"})
for attempt in range(100):
    try:
        print(urllib.request.urlopen(request, timeout=240).read().decode())
        break
    except urllib.error.HTTPError:
        raise
    except OSError as error:  # a Service that has just been made has no endpoints yet
        print(error, file=sys.stderr)
        time.sleep(0.3)
else:
    sys.exit(f"{sys.argv[1]} does not answer")
"""
READY_SECONDS = 400
RESOURCES = {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}}
LABELS = {"app": "model"}
WORDS = 8
CHAT = {"messages": [{"role": "user", "content": "Say a word."}], "max_tokens": WORDS, "temperature": 0}
GENERATE = {"inputs": "The capital of France is", "parameters": {"max_new_tokens": WORDS, "details": True}}


@dataclass(frozen=True)
class Server:
    """One way to run one image."""

    image: str
    args: tuple[str, ...]
    port: int
    route: str
    question: dict[str, Any]
    uid: int
    security: dict[str, object]
    """Of the pod; {} is as the image says."""

    def container(self) -> dict[str, object]:
        """It, ready when it says it is well."""
        health = {"httpGet": {"path": "/health", "port": self.port}, "periodSeconds": 1}
        return container(
            IMAGES[self.image].tag,
            args=list(self.args),
            resources=RESOURCES,
            readinessProbe=health,
            startupProbe={**health, "failureThreshold": READY_SECONDS},
            securityContext=RESTRICTED if self.security else {},
            volumeMounts=[{"name": "tmp", "mountPath": "/tmp"}],
        )


LLAMA = ("--model", "/models/SmolLM2-135M-Instruct.Q4_1.gguf", "--host", "0.0.0.0", "-t", "1", "-c", "2048")
TGI = ("--model-id", "HuggingFaceTB/SmolLM2-135M-Instruct")
NOBODY = 54321
"""A user whom no image knows."""
SERVERS = {
    "llamacpp as its own user": Server(
        "llamacpp", LLAMA, 8080, "/v1/chat/completions", CHAT, 65532, {"runAsNonRoot": True}
    ),
    "tgi as root": Server("tgi-contract", TGI, 80, "/generate", GENERATE, 0, {}),
    "tgi as a user without a name": Server(
        "tgi-contract", (*TGI, "--port", "3000"), 3000, "/generate", GENERATE, NOBODY, {"runAsUser": NOBODY}
    ),
}


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
def test_it_starts_and_answers(pods: Kubectl, server: Server) -> None:
    spec = {
        "containers": [server.container()],
        "securityContext": server.security,
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    client = {"containers": [container(IMAGES["probe"].tag)], "terminationGracePeriodSeconds": 0}
    pods.apply(pod("model", spec, LABELS), service("model", LABELS, server.port), pod("client", client))
    try:
        wait_for(pods, "pod/model", "condition=Ready", READY_SECONDS)
        wait_for(pods, "pod/client", "condition=Ready")
    except RuntimeError as error:
        pytest.fail(f"{error}\n{pods.run('logs', 'model').stdout}\n{pods.run('describe', 'pod', 'model').stdout}")
    assert pods("exec", "model", "--", "id", "-u").strip() == str(server.uid)
    question = json.dumps(server.question)
    url = f"http://model{server.route}"
    answer = json.loads(pods("exec", "client", "--", "python3", "-c", ASK, url, question, seconds=600))
    assert tokens(answer) == WORDS, answer
    pods("delete", "pod", "model", "--wait=false")
    wait_for(pods, "pod/model", "delete")


def tokens(answer: dict[str, Any]) -> int:
    """Generated tokens, as the server counts them."""
    said = answer["details"]["generated_tokens"] if "details" in answer else answer["usage"]["completion_tokens"]
    return int(said)
