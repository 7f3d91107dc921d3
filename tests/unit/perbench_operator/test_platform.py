import pytest

from perbench_operator.chart_values import ACCELERATOR_LABELS
from perbench_operator.platform import Platform


@pytest.mark.parametrize(
    ("resource", "label"),
    [
        ("nvidia.com/gpu", "nvidia.com/gpu.product"),
        ("nvidia.com/mig-1g.10gb", "nvidia.com/gpu.product"),
        ("amd.com/gpu", "amd.com/gpu.product-name"),
        ("example.com/gpu", "node.kubernetes.io/instance-type"),
    ],
)
def test_the_label_of_a_product_is_that_of_the_longest_entry(resource: str, label: str) -> None:
    platform = Platform(bench_image="bench", accelerator_labels=ACCELERATOR_LABELS)
    assert platform.product_label(resource) == label


def test_without_an_entry_there_is_no_label() -> None:
    platform = Platform(bench_image="bench", accelerator_labels={"nvidia.com/mig-*": "a"})
    assert platform.product_label("nvidia.com/gpu") is None
    assert Platform(bench_image="bench").product_label("nvidia.com/gpu") is None
