"""Every hook of the core passes the conformance kit."""

import pytest

from handzoo.registry import HOOKS
from handzoo.testing import conformance_checks

EXAMPLES = {
    "EMAHook": dict(priority=49, momentum=0.01),
    "FiniteGuardHook": dict(patience=3),
    "GracefulStopHook": dict(),
    "HandCheckpointHook": dict(keep_epochs=1, minutes=0.0),
    "HandLoggerHook": dict(interval=1),
    "HandVisualizationHook": dict(num_samples=3),
    "MetricsFileHook": dict(),
    "ProgressHook": dict(enabled=True),
}
CASES = [
    pytest.param(dict(type=name, **arguments), check, id=f"{name}-{check}")
    for name, arguments in EXAMPLES.items()
    for check in conformance_checks("hook")
]


@pytest.mark.parametrize(("config", "check"), CASES)
def test_core_hook(config, check):
    check(config)


def test_every_registered_hook_has_an_example():
    HOOKS.import_from_location()
    found = HOOKS.module_dict.items()
    core = {name for name, cls in found if cls.__module__.startswith("handzoo.")}
    assert core == set(EXAMPLES)
