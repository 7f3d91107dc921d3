from perbench.cluster.reasons import REASONS
from tests.support.reasons import given_reasons

WELL = {
    "Accepted", "AllModelsReady", "AllStagesRecorded", "AllStagesValid", "Succeeded", "NotFinished", "NothingMeasured",
    "NotAccepted", "Suspended", "Interrupted", "NoRegression", "NotCompared", "Annotated", "NotYetAnnotated",
}  # fmt: skip
"""Conditions that say that nothing is wrong, or that it is not known yet."""
SUMS = {"SomeModelsFailed", "AllModelsFailed", "ModelFailed", "MeasurementInvalid"}
"""Conditions that sum up: the reason itself stands in status.failure."""
UNTOLD = {"Superseded", "ApiUnavailable", "TruthServerFailed"}
"""A bench pod that a later one has replaced, or that found no API server, says nothing; without its calibration it goes
on, with a remark."""
ELSEWHERE = ("perbench/local/", "perbench/files.py")
"""What happens on one's own machine only."""


def test_there_is_advice_for_every_reason_that_a_cluster_can_give() -> None:
    given = {each.reason for each in given_reasons() if not each.module.startswith(ELSEWHERE)}
    assert given >= {"InternalError", "TooFewDescriptors", "TargetNotAnswering", "StageTimeLimit", "NodeLost"}
    assert given - WELL - SUMS - UNTOLD - set(REASONS) == set()


def test_there_is_no_advice_for_what_nobody_says() -> None:
    assert set(REASONS) - {each.reason for each in given_reasons()} == set()
