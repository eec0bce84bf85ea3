"""Every part of the core passes the conformance kit; a part without an entry here fails."""

import pytest

from handzoo.registry import REGISTRIES
from handzoo.testing import Context, conformance_checks
from handzoo.testing.drivers import DRIVERS

SMALL_MTED = dict(channels=(32, 16), feedforward=(32, 16), num_heads=4)
SMALL_FAST = dict(
    stage_channels=(32, 16), feedforward_channels=(32, 16), num_layers=1, num_heads=4
)
SMALL_METRO = dict(block_channels=(32, 16, 16), out_channels=(16, 16), num_layers=1, num_heads=4)

# role -> class -> (arguments, context). Widths are small: contracts do not depend on them.
EXAMPLES = {
    "backbone": {
        "PAT": (dict(depths=(1, 1, 1, 1), widths=(32, 32, 64, 64), pretrained=False), Context()),
        "TimmBackbone": (dict(name="resnet10t", pretrained=False), Context(size=64)),
    },
    "neck": {"HFA": (dict(out_channels=32), Context(feature_channels=(32, 32, 64, 64)))},
    "query_head": {
        "LearnedQueries": (dict(channels=32), Context()),
        "MHF": (dict(channels=32, num_blocks=1), Context()),
        "TemplateQueries": (dict(), Context()),
    },
    "mesh_head": {
        "MTED": (SMALL_MTED, Context()),
        "FastMetroHead": (SMALL_FAST, Context()),
        "MetroHead": (SMALL_METRO, Context(has_camera=False)),
        "ManoRegressionHead": (dict(channels=(32,), iterations=2), Context(query_channels=None)),
        "LinearMeshHead": (dict(), Context(query_channels=None)),
        "TokenLinearHead": (dict(), Context()),
    },
    "prior": {"PJ": (dict(), Context())},
    "loss": {
        "HandLoss": (dict(), Context()),
        "HeatmapLoss": (dict(), Context()),
        "ManoParameterLoss": (dict(shape_prior=1.0), Context()),
        "MeshShapeLoss": (dict(), Context()),
        "MetroLoss": (dict(), Context()),
    },
    "guidance": {"CM": (dict(text_encoder=dict(type="OpenCLIP")), Context())},
    "text_encoder": {"OpenCLIP": (dict(), Context())},
    "hand_model": {"bundled": (dict(), Context()), "auto": (dict(), Context())},
}

# Needs a file that its licence keeps out of the repository; tests/hands makes one like it.
ELSEWHERE = {("hand_model", "mano")}

CASES = [
    pytest.param(role, name, check, id=f"{role}-{name}-{check}")
    for role, classes in EXAMPLES.items()
    for name in classes
    for check in conformance_checks(role)
]


@pytest.mark.parametrize(("role", "name", "check"), CASES)
def test_core_part(role, name, check):
    arguments, context = EXAMPLES[role][name]
    check(dict(type=name, **arguments), context)


@pytest.mark.parametrize("role", sorted(DRIVERS))
def test_every_registered_part_has_an_example(role):
    registry = REGISTRIES[role]
    registry.import_from_location()
    core = {
        name
        for name, cls in registry.module_dict.items()
        if cls.__module__.startswith("handzoo.") and (role, name) not in ELSEWHERE
    }
    assert core == set(EXAMPLES[role])
