"""Every metric of the core passes the conformance kit."""

import pytest

from handzoo.registry import METRICS
from handzoo.testing import conformance_checks

EXAMPLES = {
    "HandMetric": [
        dict(),
        dict(joints_from="mesh", workers=1),
        dict(protocol=dict(tracks=["root", "scale", "root-depth"], fscore_tracks=["root"])),
    ],
    "RHDMetric": [dict()],
    "DexterObjectMetric": [dict()],
}
CASES = [
    pytest.param(dict(type=name, **arguments), check, id=f"{name}-{index}-{check}")
    for name, configs in EXAMPLES.items()
    for index, arguments in enumerate(configs)
    for check in conformance_checks("metric")
]


@pytest.mark.parametrize(("config", "check"), CASES)
def test_core_metric(config, check):
    check(config)


def test_every_registered_metric_has_an_example():
    METRICS.import_from_location()
    found = METRICS.module_dict.items()
    core = {name for name, cls in found if cls.__module__.startswith("handzoo.")}
    assert core == set(EXAMPLES)
