"""What can go wrong before a model answers: each has its reason, whose affair it is, and words that help."""

import pytest

from perbench.api.identity import run_id
from perbench.api.reading import parse
from perbench.schedule import Launch
from perbench_operator.names import Role, RunIdentity, launch_object
from tests.cluster.api import Kubectl
from tests.e2e.applied import Applied, Object, condition
from tests.e2e.benchmarks import SCHEDULING_SECONDS, benchmark, llama, tgi

GATED = """huggingface_hub.errors.GatedRepoError: 401 Client Error.

Cannot access gated repo for url https://huggingface.co/api/models/meta-llama/Llama-3.1-8B-Instruct.
Access to model meta-llama/Llama-3.1-8B-Instruct is restricted. You must have access to it and be authenticated to
access it. Please log in."""
"""The end of what huggingface_hub says, which the launcher passes on."""
NOWHERE = {"resource": "example.com/nowhere", "count": 1}
TOKEN = {"name": "no-such-secret", "key": "token"}


def failed(applied: Applied) -> Object:
    """The failure of a run of one model, which has left nothing running."""
    status = applied.wait_end()
    assert status["phase"] == "Failed", applied.account()
    assert condition(status, "Succeeded")["status"] == "False"
    failure: Object = status["failure"]
    assert applied.wait_event("RunFailed").kind == "Warning"
    applied.wait_torn_down()
    return failure


@pytest.mark.parametrize(
    ("name", "served", "deadlines", "blame", "reason", "words"),
    [
        ("no-image", llama("a", image="perb.local/nothing:1"), {}, "Infrastructure", "ImagePullFailed", "nothing:1"),
        (
            "no-secret",
            tgi("a", huggingFaceTokenSecretKeyRef=TOKEN),
            {},
            "Infrastructure",
            "SecretMissing",
            TOKEN["name"],
        ),
        (
            *("no-node", llama("a", accelerator=NOWHERE), {"schedulingSeconds": SCHEDULING_SECONDS}),
            *("Infrastructure", "Unschedulable", "Insufficient example.com/nowhere"),
        ),
        (
            *("never-ready", tgi("a", env=[{"name": "TGI_CONTRACT_LOAD_SECONDS", "value": "600"}])),
            *({"readySeconds": 10}, "Target", "NotReady", "within 10 s"),
        ),
        (
            *("gated", tgi("a", env=[{"name": "TGI_CONTRACT_DOWNLOAD_ERROR", "value": GATED}]), {}),
            *("Target", "GatedModel", "Cannot access gated repo"),
        ),
        ("no-model", tgi("a", model="nobody/has-this"), {}, "Target", "ServerExited", "DownloadError"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_it_fails_with_its_reason(
    place: Kubectl, name: str, served: Object, deadlines: Object, blame: str, reason: str, words: str
) -> None:
    execution = {"deadlines": deadlines} if deadlines else None
    applied = Applied.of(place, benchmark(name, served, execution=execution))
    failure = failed(applied)
    assert (failure["blame"], failure["reason"], failure["model"]) == (blame, reason, "a"), failure
    assert words in failure["message"]


def test_a_quota_that_is_exhausted(place: Kubectl) -> None:
    place("create", "quota", "none", "--hard=pods=0")
    # It holds once its controller has taken it up.
    place("wait", "quota/none", "--for=jsonpath={.status.hard.pods}=0", "--timeout=180s")
    failure = failed(Applied.of(place, benchmark("quota", llama("a"))))
    assert (failure["blame"], failure["reason"]) == ("Infrastructure", "QuotaExceeded")
    assert "exceeded quota: none" in failure["message"]


def test_a_name_that_somebody_else_has(place: Kubectl) -> None:
    """The foreign object stays as it is."""
    document = benchmark("conflict", llama("a"), execution={"suspend": True})
    applied = Applied.of(place, document)
    applied.wait_phase("Suspended")
    found = applied.get()
    uid, namespace = found["metadata"]["uid"], found["metadata"]["namespace"]
    spec = parse({key: found[key] for key in ("apiVersion", "kind", "metadata", "spec")}).spec
    run = RunIdentity("conflict", namespace, uid, run_id(uid, spec))
    name = launch_object(run, Launch("a", 0, 0), Role.MODEL)
    place("create", "service", "clusterip", name, "--tcp=80")
    before = place.get("service", name)

    applied.change({"execution": {"suspend": False}})
    failure = failed(applied)
    assert (failure["blame"], failure["reason"]) == ("Infrastructure", "NameConflict")
    assert name in failure["message"]
    assert place.get("service", name) == before


def test_what_the_api_server_would_refuse_is_not_accepted(place: Kubectl) -> None:
    """Affinity, tolerations and podPatch are Kubernetes' own: a dry run of the pods says so before anything starts."""
    applied = Applied.of(place, benchmark("affinity", llama("a", affinity={"nodeAffinity": {"nonsense": True}})))
    status = applied.wait("it is not accepted", lambda status: bool(status.get("conditions")))
    accepted = condition(status, "Accepted")
    assert accepted["status"] == "False"
    assert "nonsense" in accepted["message"]
    assert applied.children("jobs,pods") == []
