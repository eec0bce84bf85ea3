"""Each check of a transform finds its breach, and names it; right transforms pass."""

import numpy as np
import pytest
import torch
from breaches import failures, registering

from handzoo.datasets.randomness import generator
from handzoo.datasets.transforms import PackHandInputs


@pytest.fixture
def register(monkeypatch):
    return registering(monkeypatch, "transform")


class Good:
    """Mirrors the picture at random, and everything with it."""

    def __call__(self, info):
        if generator().random() < 0.5:
            return info
        width = info["image"].shape[1]
        flip = np.diag([-1.0, 1.0, 1.0])
        mirror = np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]])
        joints2d = info["joints2d"].copy()
        joints2d[:, 0] = width - 1 - joints2d[:, 0]
        info["image"] = np.ascontiguousarray(info["image"][:, ::-1])
        info["joints2d"] = joints2d
        for name in ("joints3d", "vertices", "root"):
            info[name] = info[name] @ flip
        info["K"] = mirror @ info["K"] @ flip
        return info


class FlipsPictureAlone:
    def __call__(self, info):
        info["image"] = np.ascontiguousarray(info["image"][:, ::-1])
        return info


class FlipsLeftHandsAlone:
    """Mirrors a left hand's picture and forgets its annotation."""

    def __call__(self, info):
        return info if info["is_right"] else FlipsPictureAlone()(info)


class ForgetsCamera:
    """Shifts picture and 2D, and leaves the camera where it was."""

    def __call__(self, info):
        info["image"] = np.roll(info["image"], 10, axis=1)
        info["joints2d"] = info["joints2d"] + [10, 0]
        return info


class Unflags:
    """Takes joints near the border for joints that nobody annotated."""

    def __call__(self, info):
        x = info["joints2d"][:, 0]
        info["joints2d_valid"] = info["joints2d_valid"] & (x > 90)
        return info


class DropsBox:
    def __call__(self, info):
        del info["bbox"]
        return info


class FloatPicture:
    def __call__(self, info):
        info["image"] = info["image"] / 255
        return info


class ReturnsNothing:
    def __call__(self, info):
        info["seen"] = True


class WritesInPlace:
    def __call__(self, info):
        info["joints2d"] += 0.01
        return info


class PaintsInPlace:
    def __call__(self, info):
        info["image"][:4, :4] = 0
        return info


class SharesMemory(PackHandInputs):
    """Packs without a copy."""

    def __call__(self, info):
        item = super().__call__(info)
        if info["vertices"].dtype == np.float32:
            item["data_samples"].vertices = torch.from_numpy(info["vertices"])
        return item


class OwnRandom:
    def __init__(self):
        self.rng = np.random.default_rng(0)

    def __call__(self, info):
        info["aug_scale"] = float(self.rng.uniform(0.9, 1.1))
        return info


class NeedsGesture:
    def __call__(self, info):
        info["prompt"] = "a hand that means " + info["gesture_name"]
        return info


class InventsRoot:
    def __call__(self, info):
        if not info["root_valid"]:
            info["root"] = np.array([0.0, 0.0, 0.5])
            info["root_valid"] = True
        return info


class HoldsLambda:
    def __init__(self):
        self.change = lambda image: image

    def __call__(self, info):
        info["image"] = self.change(info["image"])
        return info


def loose(**anything):
    """Takes any argument, as a function may that hands on what it is given."""
    return Good()


@pytest.mark.parametrize(
    ("cls", "check", "words"),
    [
        (FlipsPictureAlone, "geometry", "right hand are not where joints2d says"),
        (FlipsLeftHandsAlone, "geometry", "left hand are not where joints2d says"),
        (ForgetsCamera, "geometry", "pixels away from joints2d"),
        (Unflags, "geometry", "annotation is lost"),
        (DropsBox, "contract", "drops bbox"),
        (FloatPicture, "contract", "uint8"),
        (ReturnsNothing, "contract", "returns a dictionary"),
        (WritesInPlace, "untouched", "writes into joints2d"),
        (PaintsInPlace, "untouched", "writes into image"),
        (SharesMemory, "untouched", "shares memory with vertices"),
        (OwnRandom, "repeatable", "randomness.generator"),
        (NeedsGesture, "unannotated", "raise DataError"),
        (InventsRoot, "unannotated", "root_valid became true"),
        (HoldsLambda, "worker", "sent to a DataLoader's worker"),
        (loose, "config", "unknown argument is accepted"),
    ],
)
def test_each_breach_is_found(register, cls, check, words):
    assert words in failures("transform", register(cls), check)[check]


def test_a_right_transform_passes(register):
    assert failures("transform", register(Good)) == {}
