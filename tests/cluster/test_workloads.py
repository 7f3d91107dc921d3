"""What the product relies on works on a node as anywhere: pods start, find each other, keep to limits, end."""

import time

from tests.cluster.api import Kubectl
from tests.cluster.images import IMAGES
from tests.cluster.node import Node
from tests.cluster.pods import RESTRICTED, container, pod, service, wait_for

IMAGE = IMAGES["probe"].tag
LABELS = {"app": "web"}
# A Service that has just been made has no endpoints yet, so clients try again.
ASK_BY_NAME = """
import socket, sys, time, urllib.request
for name in sys.argv[1:]:
    for attempt in range(100):
        try:
            print(urllib.request.urlopen(f"http://{name}/hello", timeout=5).read().decode(), end="", flush=True)
            break
        except OSError as error:
            print(error, file=sys.stderr)
            time.sleep(0.3)
    else:
        sys.exit(f"{name} does not answer")
for attempt in range(10):
    try:
        socket.getaddrinfo("outside.example", 80)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN and attempt < 9:
            continue
        print("outside:", error.errno == socket.EAI_NONAME)
    break
"""


def test_a_job_reaches_a_deployment_by_the_name_of_its_service(pods: Kubectl) -> None:
    probe = {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1}
    limits = {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}}
    web = container(IMAGE, readinessProbe=probe, startupProbe={**probe, "failureThreshold": 30}, resources=limits)
    names = ["web", f"web.{pods.namespace}.svc.cluster.local"]
    job = container(IMAGE, command=["python3", "-c", ASK_BY_NAME, *names])
    pods.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": LABELS},
                "template": {"metadata": {"labels": LABELS}, "spec": {"containers": [web]}},
            },
        },
        service("web", LABELS, 8080),
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "client"},
            "spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [job]}}},
        },
    )
    wait_for(pods, "deployment/web", "condition=Available")
    wait_for(pods, "job/client", "condition=Complete")
    said = pods("logs", "job/client", "--container=main").splitlines()
    answers = [line for line in said if line.startswith("/hello from web-")]
    assert len(answers) == 2
    # Names outside the cluster do not exist in a node of our own, at once; elsewhere they may.
    assert said[-1] in {"outside: True", answers[-1]}
    pods("delete", "deployment/web", "--cascade=foreground", "--timeout=300s", seconds=400)
    assert not pods.get("pods", "--selector=app=web")["items"]


def test_a_pod_runs_under_the_restricted_standard(cluster: Node, pods: Kubectl) -> None:
    enforce = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", pods.namespace, enforce)
    refused = pods.run("apply", "--filename=-", document=pod("root", {"containers": [container(IMAGE)]}))
    assert 'violates PodSecurity "restricted' in refused.stderr
    script = (
        "id -u; grep -E 'CapEff|Seccomp:|NoNewPrivs' /proc/self/status;"
        " touch /x; touch /tmp/x && echo tmp; df -k /dev/shm"
    )
    spec = {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            container(
                IMAGE,
                command=["sh", "-c", script],
                securityContext=RESTRICTED,
                volumeMounts=[{"name": "tmp", "mountPath": "/tmp"}, {"name": "memory", "mountPath": "/dev/shm"}],
            )
        ],
        "volumes": [
            {"name": "tmp", "emptyDir": {"sizeLimit": "10Mi"}},
            {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "32Mi"}},
        ],
    }
    pods.apply(pod("restricted", spec))
    wait_for(pods, "pod/restricted", "jsonpath={.status.phase}=Succeeded")
    said = pods("logs", "restricted").replace("\t", " ")
    assert said.startswith("10001\n")
    assert "CapEff: 0000000000000000" in said
    assert "NoNewPrivs: 1" in said
    assert "Seccomp: 2" in said
    assert "Read-only file system" in said
    assert "tmp\n" in said
    assert " 32768 " in said


def test_a_container_beyond_its_memory_limit_says_so(pods: Kubectl) -> None:
    greedy = container(
        IMAGE,
        command=["python3", "-c", "kept = [bytearray(b'x' * 2**20) for _ in range(500)]"],
        resources={"limits": {"memory": "64Mi"}},
    )
    seen = []
    # That it was killed, and why, reach containerd on two ways: on a busy machine the reason may come too late.
    while ("OOMKilled", 137) not in seen and len(seen) < 4:
        name = f"greedy-{len(seen)}"
        pods.apply(pod(name, {"containers": [greedy]}))
        wait_for(pods, f"pod/{name}", "jsonpath={.status.phase}=Failed")
        ended = pods.get("pod", name)["status"]["containerStatuses"][0]["state"]["terminated"]
        seen.append((ended["reason"], ended["exitCode"]))
        assert seen[-1][1] == 137
    assert seen[-1] == ("OOMKilled", 137), seen


def test_an_image_that_is_nowhere_is_reported(pods: Kubectl) -> None:
    nowhere = {"name": "main", "image": "perb.local/nowhere:1"}
    pods.apply(pod("nowhere", {"containers": [nowhere]}))
    deadline = time.monotonic() + 3000
    while True:
        states = pods.get("pod", "nowhere")["status"].get("containerStatuses", [])
        reasons = [state["state"].get("waiting", {}).get("reason") for state in states]
        if reasons and reasons[0] in {"ErrImagePull", "ImagePullBackOff"}:
            return
        assert time.monotonic() < deadline, reasons
        time.sleep(0.2)


def test_commands_run_in_pods_and_ports_of_pods_are_reached(pods: Kubectl) -> None:
    pods.apply(pod("web", {"containers": [container(IMAGE, ports=[{"containerPort": 8080}])]}))
    wait_for(pods, "pod/web", "condition=Ready")
    assert pods("exec", "web", "--", "python3", "-c", "print(6 * 7)") == "42\n"
    deadline = time.monotonic() + 300
    path = f"/api/v1/namespaces/{pods.namespace}/pods/web:8080/proxy/by-way-of-the-api"
    while (said := pods.run("get", f"--raw={path}")).returncode:
        assert time.monotonic() < deadline, said.stderr
        time.sleep(0.2)
    assert said.stdout == "/by-way-of-the-api from web\n"
