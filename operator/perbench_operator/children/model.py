"""The objects of one start of a model: who may reach it, its name in the cluster, and the Job that runs its servers.

A Job, not a Deployment: a server that ends in the middle of a measurement must stay ended, and be seen.
"""

from typing import Any

from perbench.api.execution import ExecutionSpec
from perbench.schedule import Launch
from perbench_operator.children.model_pod import MEMORY_PORT, has_memory_reader, model_template
from perbench_operator.names import LAUNCH, ROLE, Role, RunIdentity, launch_digest, launch_object, metadata
from perbench_operator.platform import NetworkRules, Platform
from perbench_operator.serving import Served


def model_objects(
    run: RunIdentity, launch: Launch, served: Served, platform: Platform, execution: ExecutionSpec
) -> tuple[dict[str, Any], ...]:
    """NetworkPolicy (where the owner of the cluster wants one), Service and Job, in the order of their creation.

    Raises Refused where the policy of the cluster, or the user's patch of the pod, forbids it.
    """
    about = metadata(run, launch_object(run, launch, Role.MODEL), Role.MODEL, launch)
    template = model_template(run, launch, served, platform, execution)
    network = platform.network
    policy = _network_policy(run, launch, served, network, about)
    return (
        *([policy] if network.enabled or network.egress is not None else []),
        _service(run, launch, served, about),
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": about,
            "spec": {
                "completionMode": "Indexed",
                "completions": served.replicas,
                "parallelism": served.replicas,
                "backoffLimit": 0,
                "template": template,
            },
        },
    )


def selector(run: RunIdentity, launch: Launch, role: str) -> dict[str, str]:
    """Labels by which the pods of a launch are found."""
    return {LAUNCH: launch_digest(run, launch), ROLE: role}


def _ports(served: Served) -> dict[str, int]:
    """By name. Metrics are at the port of the requests."""
    memory = {"memory": MEMORY_PORT} if has_memory_reader(served) else {}
    return {"http": served.runtime.port, **memory}


def _service(run: RunIdentity, launch: Launch, served: Served, about: dict[str, Any]) -> dict[str, Any]:
    """Headless: its name stands for the address of every server, and requests go there directly.

    Also of those that are not ready: the bench pod asks each for its health itself. A name without addresses is one
    that a DNS server remembers as missing, for up to half a minute: so long would the accelerators stand idle.
    """
    ports = [{"name": name, "port": port, "targetPort": port} for name, port in _ports(served).items()]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": about,
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": selector(run, launch, Role.MODEL),
            "ports": ports,
        },
    }


def _network_policy(
    run: RunIdentity, launch: Launch, served: Served, rules: NetworkRules, about: dict[str, Any]
) -> dict[str, Any]:
    """Only the bench pods of this launch, and monitoring, reach the servers: other load would be measured too. And the
    servers reach only what they may. Either without the other, too."""
    bench = {"podSelector": {"matchLabels": selector(run, launch, Role.BENCH)}}
    ports = [{"protocol": "TCP", "port": port} for port in _ports(served).values()]
    sides: dict[str, Any] = {}
    if rules.enabled:
        sides["ingress"] = [{"from": [bench, *map(dict, rules.monitoring)], "ports": ports}]
    if rules.egress is not None:
        sides["egress"] = [dict(rule) for rule in rules.egress]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": about,
        "spec": {
            "podSelector": {"matchLabels": selector(run, launch, Role.MODEL)},
            "policyTypes": [side.capitalize() for side in sides],
            **sides,
        },
    }
