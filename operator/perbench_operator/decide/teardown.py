"""What is taken down: a launch that is over or is to be started again later, and what should not be there. Pure."""

from perbench.objects.progress import BenchState
from perbench.schedule import Launch, schedule
from perbench_operator.decide.settled import Run
from perbench_operator.decide.situation import Action, Delete, Situation
from perbench_operator.names import Role, launch_digest, launch_object, model_object
from perbench_operator.observed import Job


def teardown(
    situation: Situation, run: Run, launch: Launch, *, model: bool = True, lingering: bool = False
) -> tuple[Action, ...]:
    """Delete the bench pods of a launch, and then its model.

    `model`: whether the model goes, too; an endpoint is never ours. `lingering`: whether also bench pods that have said
    their last word go, which else end by themselves. The model's Job goes last: as long as it is there, it is known
    that something is left.
    """
    benches = situation.children.benches(launch_digest(run.identity, launch))
    going = [job for job in benches if not job.deleting and (lingering or not _has_ended(situation, run, launch, job))]
    gone = tuple(Delete("Job", job.name, job.uid) for job in going)
    if not model or run.served[launch.model] is None:
        return gone
    name = launch_object(run.identity, launch, Role.MODEL)
    server = situation.children.job(name)
    last = (Delete("Job", name, server.uid),) if server is not None and not server.deleting else ()
    return (*gone, Delete("Service", name), Delete("NetworkPolicy", name), *last)


def leftovers(situation: Situation, run: Run, current: Launch | None) -> tuple[Action, ...]:
    """What is still there although it should not be: of former runs, which may have kept a model that failed, and of
    launches of this one that are over, where we were killed before it was taken down. What is kept stays."""
    former = (job for job in situation.children.jobs if job.run_id != run.identity.run_id)
    actions: list[Action] = [
        Delete("Job", job.name, job.uid)
        for job in former
        if not job.deleting and not (job.finished and job.attempt is not None)
    ]
    for launch in schedule(run.models, run.resolved.rounds):
        if launch == current:
            continue
        end = record.ends.get(launch.round) if (record := situation.records.get(launch.model)) else None
        kept = end is not None and end.failure is not None and may_keep(situation, run, launch)
        job = situation.children.job(launch_object(run.identity, launch, Role.MODEL))
        actions += teardown(situation, run, launch, model=job is not None and not job.deleting and not kept)
    return tuple(actions)


def may_keep(situation: Situation, run: Run, launch: Launch) -> bool:
    """Whether the model of a launch that failed is kept to be looked at. One that never ran shows nothing, and would
    start beside a later one as soon as there is room for it."""
    digest = launch_digest(run.identity, launch)
    return run.keeps_failures and any(pod.started for pod in situation.children.pods if pod.launch == digest)


def everything(situation: Situation) -> tuple[Action, ...]:
    """Whatever a run has in the cluster and that does not end by itself, where its launches cannot be told."""
    actions: list[Action] = []
    for job in sorted(situation.children.jobs, key=lambda job: job.role):  # bench pods first
        if job.role == Role.MODEL:
            actions += [Delete("Service", job.name), Delete("NetworkPolicy", job.name)]
        if not job.deleting and (job.role == Role.MODEL or not job.finished):
            actions.append(Delete("Job", job.name, job.uid))
    return tuple(actions)


def _has_ended(situation: Situation, run: Run, launch: Launch, job: Job) -> bool:
    """Whether a bench pod is over, or has said its last word and lingers."""
    progress = situation.children.progress.get(model_object(run.identity, launch.model, Role.PROGRESS))
    if job.finished:
        return True
    if progress is None or (progress.round, progress.attempt) < (launch.round, job.attempt or 0):
        return False
    return progress.round > launch.round or progress.state in {BenchState.FINISHED, BenchState.FAILED}
