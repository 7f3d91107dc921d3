"""A PERBenchmark in the cluster, as a user sees it: applied, waited for, looked at."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from perbench_operator.names import ROLE, UID, Role, RunIdentity
from tests.cluster.api import Kubectl
from tests.cluster.charts import NAMESPACE as OPERATOR_NAMESPACE

PAUSE_SECONDS = 1.0
"""Between two looks, which take the time of a processor that the load needs."""
PATIENCE_SECONDS = 180.0
"""For what follows in a moment. Deadlines end what hangs: what takes seconds may take minutes on a busy machine."""
LOAD_SECONDS = 400.0
"""Until a load has begun: twenty seconds where nothing else is done."""
RUN_SECONDS = 1200.0
"""Until a run is over that takes a minute or two."""
TRIES = 3
SPOILED = frozenset({"LoadGenerator", "Measurement"})
"""What is to blame where perbench itself tells to run again."""
OPERATOR = ("--selector=app.kubernetes.io/component=operator",)
KINDS = "jobs,pods,services,networkpolicies,configmaps,serviceaccounts,roles,rolebindings"
"""Of everything that a run makes."""
TORN_DOWN = "jobs,pods,services,networkpolicies"
"""Of what is gone after a run, but for ended bench pods and the policy around them."""
LOG_LINES = 60

Object = dict[str, Any]


class Event(NamedTuple):
    """What `kubectl describe` shows of an event."""

    reason: str
    kind: str
    message: str


@dataclass(frozen=True)
class Applied:
    """One benchmark, by its name in one namespace."""

    kubectl: Kubectl
    name: str

    @classmethod
    def of(cls, kubectl: Kubectl, document: Object) -> "Applied":
        """Apply it."""
        kubectl.apply(document)
        return cls(kubectl, document["metadata"]["name"])

    def get(self) -> Object:
        """The object."""
        found: Object = self.kubectl.get("perb", self.name)
        return found

    @property
    def status(self) -> Object:
        """Its status; {} before the operator has seen it."""
        found: Object = self.get().get("status", {})
        return found

    @property
    def identity(self) -> RunIdentity:
        """The run that the status is about."""
        found = self.get()
        metadata = found["metadata"]
        return RunIdentity(self.name, metadata["namespace"], metadata["uid"], found["status"]["run"]["id"])

    def change(self, spec: Object) -> None:
        """Merge something into its spec."""
        self.kubectl("patch", "perb", self.name, "--type=merge", f"--patch={json.dumps({'spec': spec})}")

    def ask_for_run(self, request: str) -> None:
        """Ask for another run of the same."""
        self.kubectl("annotate", "perb", self.name, "--overwrite", f"perbench.dev/run={request}")

    def wait(self, what: str, done: Callable[[Object], bool], seconds: float = PATIENCE_SECONDS) -> Object:
        """Wait until its status is as `done` wants it, and return that; else fail, with all there is to know."""
        deadline = time.monotonic() + seconds
        while not done(status := self.status):
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}\n{self.account()}"
            time.sleep(PAUSE_SECONDS)
        return status

    def wait_phase(self, phase: str, seconds: float = PATIENCE_SECONDS) -> Object:
        """Wait for a phase."""
        return self.wait(f"phase {phase}", lambda status: status.get("phase") == phase, seconds)

    def wait_end(self, seconds: float = RUN_SECONDS, but: str = "") -> Object:
        """Wait until its run is over; `but`: the id of a run that is not the one that is meant."""

        def over(status: Object) -> bool:
            return "completionTime" in status and status["run"]["id"] != but

        return self.wait("the run is over", over, seconds)

    def wait_success(
        self, seconds: float = RUN_SECONDS, *, but: str = "", complete: Callable[[Object], bool] = lambda _: True
    ) -> Object:
        """Wait until a run has succeeded, and `complete` has what it needs of it.

        A run that is spoiled by perbench's own word, or lacks a figure because nobody answered in time, is asked for
        again: a machine that is busy with other things does that to it.
        """
        status = self.wait_end(seconds, but)
        for number in range(1, TRIES):
            if not _is_spoiled(status) and (status["phase"] != "Succeeded" or complete(status)):
                break
            self.ask_for_run(f"{status['run'].get('request', '')}-again-{number}")
            status = self.wait_end(seconds, status["run"]["id"])
        assert status["phase"] == "Succeeded", self.account()
        assert complete(status), self.account()
        return status

    def events(self) -> list[Event]:
        """Its story, the oldest event first."""
        found = self.kubectl.get("events", f"--field-selector=involvedObject.name={self.name}")["items"]
        found.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
        return [Event(each["reason"], each["type"], each.get("message", "")) for each in found]

    def wait_event(self, reason: str, seconds: float = PATIENCE_SECONDS) -> Event:
        """Wait for an event of this reason."""
        deadline = time.monotonic() + seconds
        while True:
            for event in self.events():
                if event.reason == reason:
                    return event
            assert time.monotonic() < deadline, f"no event {reason} within {seconds:g} s\n{self.account()}"
            time.sleep(PAUSE_SECONDS)

    def children(self, kinds: str = KINDS, *, run: str = "") -> list[Object]:
        """What its runs made and is still there; `run`: of this one alone."""
        uid = self.get()["metadata"]["uid"]
        selector = f"{UID}={uid}" + (f",perbench.dev/run-id={run}" if run else "")
        found: list[Object] = self.kubectl.get(kinds, f"--selector={selector}")["items"]
        return found

    def pods(self, role: str) -> list[Object]:
        """Its pods that have this role, `model` or `bench`."""
        return [pod for pod in self.children("pods") if pod["metadata"]["labels"].get(ROLE) == role]

    def wait_torn_down(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until no model, no way to one and no pod that runs is left of its runs; ended bench pods may stay."""
        deadline = time.monotonic() + seconds
        while left := [each for each in self.children(TORN_DOWN) if not _may_stay(each)]:
            names = [f"{each['kind']} {each['metadata']['name']}" for each in left]
            assert time.monotonic() < deadline, f"still there after {seconds:g} s: {names}\n{self.account()}"
            time.sleep(PAUSE_SECONDS)

    def plugin(self, command: str, *arguments: str) -> str:
        """What `kubectl perbench COMMAND` prints about it. It must succeed."""
        program = [sys.executable, "-c", "from perbench.cli import kubectl_main; kubectl_main()", command, self.name]
        done = subprocess.run(
            [*program, f"--namespace={self.kubectl.namespace}", *arguments],
            env={**os.environ, "KUBECONFIG": str(self.kubectl.kubeconfig)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def account(self) -> str:
        """Everything that says why something did not happen."""
        status = {"status": self.status}
        story = [f"{kind} {reason}: {message}" for reason, kind, message in self.events()]
        parts = [
            yaml.safe_dump(status, sort_keys=False),
            "\n".join(story),
            self.kubectl.run("get", "jobs,pods", "--output=wide").stdout,
            _last_words(self.kubectl),
            operator_log(self.kubectl),
        ]
        return "\n--\n".join(parts)


def _is_spoiled(status: Object) -> bool:
    return status.get("failure", {}).get("blame") in SPOILED


def condition(status: Object, kind: str) -> Object:
    """One of its conditions."""
    (found,) = [each for each in status["conditions"] if each["type"] == kind]
    return dict(found)


def model(status: Object, name: str) -> Object:
    """One of its models."""
    (found,) = [each for each in status["models"] if each["name"] == name]
    return dict(found)


def _may_stay(found: Object) -> bool:
    status = found.get("status", {})
    ended = status.get("phase") in {"Succeeded", "Failed"} or status.get("completionTime") or status.get("failed")
    of_bench = found["metadata"]["labels"].get(ROLE) == Role.BENCH
    return of_bench and (bool(ended) or found["kind"] == "NetworkPolicy")


def operator_log(kubectl: Kubectl) -> str:
    """The end of what the operator's pods say."""
    there = kubectl.in_namespace(OPERATOR_NAMESPACE)
    return there.run("logs", *OPERATOR, f"--tail={LOG_LINES}", "--prefix").stdout


def _last_words(kubectl: Kubectl) -> str:
    names = [pod["metadata"]["name"] for pod in kubectl.get("pods")["items"]]
    logs = [kubectl.run("logs", name, "--all-containers", "--prefix", "--tail=15") for name in names]
    return "\n".join(done.stdout + done.stderr for done in logs)
