"""Objects as a real API gives them, cut down to what decisions need."""

from typing import Any

from perbench_operator.observed import Ended, read_job, read_pod, uid_of

LABELS = {
    "perbench.dev/uid": "u", "perbench.dev/run-id": "0123456789", "perbench.dev/role": "model",
    "perbench.dev/launch": "aaaaaaaaaa", "batch.kubernetes.io/job-name": "pb-x-aaaaaaaaaa-model",
}  # fmt: skip


def pod(status: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "labels": LABELS, "creationTimestamp": "2026-01-01T00:00:00Z", **metadata},
        "spec": {"nodeName": "n1"},
        "status": status,
    }


RUNNING = {
    "phase": "Running",
    "conditions": [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"},
        {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:09Z"},
    ],
    "containerStatuses": [
        {
            "name": "model", "imageID": "registry.example.org/server@sha256:" + "b" * 64,
            "state": {"running": {"startedAt": "2026-01-01T00:00:03Z"}},
        }
    ],
    "initContainerStatuses": [{"name": "memory", "state": {"running": {"startedAt": "2026-01-01T00:00:02Z"}}}],
}  # fmt: skip


def test_a_running_pod() -> None:
    found = read_pod(pod(RUNNING))
    assert found.running
    assert (found.job, found.role, found.launch, found.node) == ("pb-x-aaaaaaaaaa-model", "model", "aaaaaaaaaa", "n1")
    assert found.ready is not None
    assert found.started is not None
    assert (found.ready - found.started).total_seconds() == 6
    assert found.image_digest == "sha256:" + "b" * 64
    assert uid_of(pod(RUNNING)) == "u"


def test_a_pod_that_is_not_ready_any_more_has_been_ready() -> None:
    def not_ready_since(moment: str) -> dict[str, Any]:
        lost = {"type": "Ready", "status": "False", "lastTransitionTime": f"2026-01-01T00:00:{moment}Z"}
        return RUNNING | {"conditions": [RUNNING["conditions"][0], lost]}

    assert read_pod(pod(RUNNING)).has_been_ready
    loading, lost = read_pod(pod(not_ready_since("01"))), read_pod(pod(not_ready_since("40")))
    assert (loading.ready, loading.has_been_ready) == (None, False)
    assert (lost.ready, lost.has_been_ready) == (None, True)


def test_a_pod_without_a_node_gives_the_scheduler_s_words() -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available",
    }
    found = read_pod(pod({"phase": "Pending", "conditions": [condition]}))
    assert found.unscheduled == "0/1 nodes are available"
    assert found.scheduled is None


def test_waiting_is_a_reason_only_where_it_is_one() -> None:
    def waiting(reason: str) -> dict[str, Any]:
        return {"phase": "Pending", "containerStatuses": [{"name": "model", "state": {"waiting": {"reason": reason}}}]}

    assert read_pod(pod(waiting("ContainerCreating"))).waiting is None
    assert read_pod(pod(waiting("ImagePullBackOff"))).waiting == ("ImagePullBackOff", "")


def test_an_init_container_that_does_not_start_is_what_is_waited_for() -> None:
    status = {
        "phase": "Pending",
        "containerStatuses": [{"name": "model", "state": {"waiting": {"reason": "PodInitializing"}}}],
        "initContainerStatuses": [
            {"name": "memory", "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}
        ],
    }
    assert read_pod(pod(status)).waiting == ("ErrImagePull", "not found")


def test_last_words_are_kept_without_control_characters() -> None:
    terminated = {
        "exitCode": 1, "reason": "Error", "message": "boom\x1b[31m", "startedAt": "2026-01-01T00:00:03Z",
        "finishedAt": "2026-01-01T00:00:05Z",
    }  # fmt: skip
    status = {"phase": "Failed", "containerStatuses": [{"name": "model", "state": {"terminated": terminated}}]}
    found = read_pod(pod(status))
    assert found.ended == Ended(1, "Error", "boom�[31m")
    assert found.over
    assert not found.running


def test_an_evicted_pod_has_no_container_that_says_anything() -> None:
    status = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
    found = read_pod(pod(status))
    assert found.disruption == ("Evicted", "The node was low on resource: memory.")
    assert found.ended is not None


def test_a_pod_that_is_preempted_says_so_while_it_ends() -> None:
    target = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "preempting"}
    status = RUNNING | {"conditions": [*RUNNING["conditions"], target]}
    found = read_pod(pod(status, deletionTimestamp="2026-01-01T00:00:20Z"))
    assert found.disruption == ("PreemptionByScheduler", "preempting")
    assert found.deleting


def test_a_job() -> None:
    metadata = {
        "name": "pb-x-aaaaaaaaaa-a1", "uid": "j", "labels": LABELS | {"perbench.dev/role": "bench"},
        "annotations": {"perbench.dev/attempt": "1", "perbench.dev/model": "small"},
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    found = read_job({"metadata": metadata, "status": {"conditions": [{"type": "Failed", "status": "True"}]}})
    assert (found.attempt, found.model, found.finished, found.deleting) == (1, "small", True, False)
    new = read_job({"metadata": metadata})
    assert (new.finished, new.begun, new.suspended) == (False, None, None)
    assert read_job({"metadata": metadata, "status": {"startTime": "2026-01-01T00:00:02Z"}}).begun is not None


def test_a_job_that_is_suspended_says_since_when() -> None:
    metadata = {"name": "j", "uid": "j", "labels": LABELS, "creationTimestamp": "2026-01-01T00:00:00Z"}
    seen = {"type": "Suspended", "status": "True", "lastTransitionTime": "2026-01-01T00:00:09Z"}
    new = read_job({"metadata": metadata, "spec": {"suspend": True}})
    later = read_job({"metadata": metadata, "spec": {"suspend": True}, "status": {"conditions": [seen]}})
    resumed = read_job({"metadata": metadata, "spec": {"suspend": False}, "status": {"conditions": [seen]}})
    assert [job.suspended and job.suspended.second for job in (new, later, resumed)] == [0, 9, None]
    assert not later.finished
