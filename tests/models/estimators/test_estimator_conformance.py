"""The core's estimator passes the kit's checks, with all of its parts and with few."""

import copy

import pytest

from handzoo.models.estimators import HandDataPreprocessor
from handzoo.registry import ESTIMATORS
from handzoo.testing import Context, conformance_checks
from tests.models.estimators.test_hand_mesh import SIZE, SMALL

EXAMPLES = {
    "cliphand": SMALL,
    "linear": {
        "type": "HandMeshEstimator",
        "backbone": dict(type="TimmBackbone", name="resnet10t", pretrained=False),
        "hand_model": dict(type="bundled"),
        "mesh_head": dict(type="LinearMeshHead", add_template=True),
        "loss": [dict(SMALL["loss"], heatmap=0.0), dict(type="MeshShapeLoss")],
    },
}


@pytest.mark.parametrize("check", conformance_checks("estimator"), ids=str)
@pytest.mark.parametrize("name", EXAMPLES)
def test_core_estimator(name, check):
    check(copy.deepcopy(EXAMPLES[name]), Context(size=SIZE))


def test_every_registered_estimator_has_an_example():
    ESTIMATORS.import_from_location()
    found = ESTIMATORS.module_dict.items()
    core = {name for name, cls in found if cls.__module__.startswith("handzoo.")}
    assert core - {HandDataPreprocessor.__name__} == {
        config["type"] for config in EXAMPLES.values()
    }
