"""The beginning of a run: all that can be checked is, before anything is made. Pure."""

from collections.abc import Iterator

from perbench.api.defaults import Resolved, execution_of, limit_of, resolve_defaults
from perbench.api.resource import RUN_ANNOTATION, BenchmarkSpec
from perbench.api.status import REQUEST_LIMIT, ConditionStatus, ConditionType, Status
from perbench.api.tasks import TaskSpec
from perbench.objects.budget import may_fit
from perbench.objects.results import BUDGET
from perbench.planning import keys_of
from perbench.schedule import Launch
from perbench_operator import children as make
from perbench_operator.decide import statuses
from perbench_operator.decide.conditions import find_condition
from perbench_operator.decide.situation import (
    CheckClaim,
    CheckConfigMap,
    Decision,
    Discard,
    DryRun,
    Situation,
    identity_of,
)
from perbench_operator.serving import Refused, Served, check_lengths, serve

MENDS = frozenset({"ConfigMissing", "InvalidClaim", "QuotaExceeded", "Forbidden", "RunIsBaseline"})
"""Why a run does not begin although nothing is wrong with its benchmark: others may mend that."""
LOOK_SECONDS = 30.0
"""So long after such a refusal it is tried again."""
Check = DryRun | CheckClaim | CheckConfigMap
LOCAL_FILE = "dataset.file is of local mode: put the questions into a ConfigMap (dataset.configMap) or on a volume"


def begin(situation: Situation, spec: BenchmarkSpec, wanted: str) -> Decision:
    """A new run: everything that can be checked is, and then it is written down before anything is made."""
    if situation.benchmark.mistake:
        return Decision(status=statuses.refused(situation, wanted, Refused("InvalidSpec", situation.benchmark.mistake)))
    if execution_of(spec).suspend:
        return Decision(status=statuses.not_begun(situation, wanted))
    if situation.refusal is not None:
        said = situation.refusal.failure
        status = statuses.refused(situation, wanted, Refused(said.reason, said.message))
        return Decision(status=status, wake_after=LOOK_SECONDS if may_mend(status) else None)
    if len(situation.benchmark.request or "") > REQUEST_LIMIT:
        long = Refused("InvalidRequest", f"annotation {RUN_ANNOTATION} is over {REQUEST_LIMIT} characters: shorten it")
        return Decision(status=statuses.refused(situation, wanted, long))
    try:
        checks = tuple(_checks(situation, spec, wanted))
    except Refused as refused:
        return Decision(status=statuses.refused(situation, wanted, refused))
    resolved = resolve_defaults(spec, local=False)
    status = statuses.begun(situation, wanted, resolved, situation.platform.version)
    # A spec that was changed and changed back asks for a run whose id there has been.
    discard = (Discard(wanted),) if situation.benchmark.status is not None else ()
    return Decision((*checks, *discard), status, wake_after=0.0)


def may_mend(status: Status) -> bool:
    """Whether a refusal may pass without an edit of the benchmark."""
    accepted = find_condition(status, ConditionType.ACCEPTED)
    return accepted is not None and accepted.status is ConditionStatus.FALSE and accepted.reason in MENDS


def _checks(situation: Situation, spec: BenchmarkSpec, wanted: str) -> Iterator[Check]:
    """All that pods of the run mount, and every Job, for the API to look at. Raises Refused where it need not be asked.

    A dataset that is not there would else show only when the bench pod is to start, beside a model that is loaded.
    """
    for task in spec.tasks:
        yield from _dataset_checks(task)
    identity, platform = identity_of(situation.benchmark, wanted), situation.platform
    execution, resolved = execution_of(spec), resolve_defaults(spec, local=False)
    _check_size(spec, resolved)
    for order, model in enumerate(spec.models):
        launch = Launch(model.name, 0, order)
        served = serve(spec, model, platform)
        make.launch_plan(identity, launch, spec, resolved, served, platform)
        if served is not None:
            check_lengths(spec, served)
            yield from (CheckClaim(name, f"model {model.name}", served.replicas) for name in claims_of(served))
            for manifest in make.model_objects(identity, launch, served, platform, execution):
                if manifest["kind"] == "Job":
                    yield DryRun(manifest, model.name)
    model = spec.models[0]
    served = serve(spec, model, platform)
    yield DryRun(make.bench_job(identity, Launch(model.name, 0, 0), 0, spec, served, platform), None)


def _check_size(spec: BenchmarkSpec, resolved: Resolved) -> None:
    """Raise Refused where what is measured of a model cannot be kept. How large a dataset elsewhere is is not known
    yet, and may be less than its limit."""
    stages = len(keys_of(spec.tasks, resolved)) * resolved.rounds
    known = [task for task in spec.tasks if task.dataset is None or task.dataset.inline is not None]
    counted = [limit_of(task) or 0 for task in known]
    rows = sum(counted) * resolved.repeats * resolved.rounds
    if not may_fit(stages, rows):
        message = (
            f"{stages} stages of a model, with {rows} requests as far as is known, do not fit into one object of the"
            f" cluster ({BUDGET // 1024} KiB): lower tasks[].limit, load.repeats or execution.rounds, or put fewer"
            " tasks into one benchmark"
        )
        raise Refused("ResultsTooLarge", message)


def _dataset_checks(task: TaskSpec) -> Iterator[Check]:
    dataset, whose = task.dataset, f"task {task.name}"
    if dataset is None:
        return
    if dataset.file is not None:
        raise Refused("LocalOnly", f"{whose}: {LOCAL_FILE}")
    if dataset.config_map is not None:
        yield CheckConfigMap(dataset.config_map.name, dataset.config_map.key, whose)
    if dataset.volume is not None:
        yield CheckClaim(dataset.volume.claim_name, whose, 1)  # one bench pod at a time


def claims_of(served: Served) -> tuple[str, ...]:
    """PersistentVolumeClaims that each replica of a model mounts."""
    cache, volume = served.serving.model_cache, served.model.volume
    names = (cache.claim_name if cache else None, volume.claim_name if volume else None)
    return tuple(dict.fromkeys(name for name in names if name))
