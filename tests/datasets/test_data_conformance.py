"""Every data set and transform of the core passes the conformance kit."""

import functools

import pytest
from fabricate import (
    make_dexter_object,
    make_freihand,
    make_gesture_folder,
    make_hagrid,
    make_rhd,
)

from handzoo.registry import REGISTRIES
from handzoo.resources import ASSETS
from handzoo.testing import Context, conformance_checks

CROPPED = Context(before=(dict(type="RandomHandAffine"),))
JITTER = dict(brightness=0.1, contrast=0.2, saturation=0.2, hue=0.05)
VIEWS = [dict(type="RandomHandAffine"), dict(type="ColorJitter")]

# class -> (what makes its folder, arguments).
DATASETS = {
    "FreiHAND": [
        (None, dict(data_root=str(ASSETS / "sample"))),
        (make_freihand, dict(holdout=dict(part="train", fraction=0.4))),
        (functools.partial(make_freihand, fields=("K", "uv")), dict()),
    ],
    "RHD": [(make_rhd, dict()), (make_rhd, dict(hand="both", visible_only=True))],
    "DexterObject": [
        (make_dexter_object, dict(sequences=["Grasp1", "Pinch"])),
        (make_dexter_object, dict(sequences=["Pinch"], test_mode=False)),
    ],
    "HaGRID": [(make_hagrid, dict(split="train_val", landmarks=True))],
    "GestureFolder": [(make_gesture_folder, dict())],
}
# class -> (arguments, context).
TRANSFORMS = {
    "LoadHandImage": [(dict(), Context())],
    "BuildPrompt": [(dict(), Context()), (dict(mode="table1"), Context())],
    "HandCrop": [(dict(policy=policy), Context()) for policy in ("fixed", "full", "joints", "box")],
    "HandAffine": [(dict(), Context()), (dict(border="reflect", size=112), Context())],
    "RandomHandAffine": [(dict(shift=0.1, rotation_prob=0.8), Context())],
    "ColorJitter": [(dict(**JITTER), CROPPED)],
    "RandomOcclusion": [(dict(), CROPPED)],
    "TwoViews": [(dict(transforms=VIEWS), Context())],
    "PackHandInputs": [(dict(), CROPPED), (dict(meta_keys=["crop_size"]), Context())],
}


def cases(role, examples):
    return [
        pytest.param(name, index, check, id=f"{name}-{index}-{check}")
        for name, configs in examples.items()
        for index in range(len(configs))
        for check in conformance_checks(role)
    ]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Makes the folder of an example when it is first asked for."""

    @functools.cache
    def folder(name, index):
        root = tmp_path_factory.mktemp(name)
        DATASETS[name][index][0](root)
        return str(root)

    return folder


@pytest.mark.parametrize(("name", "index", "check"), cases("dataset", DATASETS))
def test_core_dataset(name, index, check, folders):
    make, arguments = DATASETS[name][index]
    where = {} if make is None else dict(data_root=folders(name, index))
    check(dict(type=name, **where, **arguments), Context(size=64))


@pytest.mark.parametrize(("name", "index", "check"), cases("transform", TRANSFORMS))
def test_core_transform(name, index, check):
    arguments, context = TRANSFORMS[name][index]
    check(dict(type=name, **arguments), context)


@pytest.mark.parametrize(("role", "examples"), [("dataset", DATASETS), ("transform", TRANSFORMS)])
def test_every_registered_class_has_an_example(role, examples):
    registry = REGISTRIES[role]
    registry.import_from_location()
    found = registry.module_dict.items()
    core = {name for name, cls in found if cls.__module__.startswith("handzoo.")}
    assert core == set(examples)
