"""Each check of an estimator finds its breach, and names it; a right one passes."""

import copy

import pytest
import torch
from breaches import failures, registering
from torch import nn

from handzoo.models.estimators import HandMeshEstimator
from handzoo.structures import HandDataSample
from handzoo.testing import Context

ARGUMENTS = dict(
    backbone=dict(type="TimmBackbone", name="resnet10t", pretrained=False),
    mesh_head=dict(type="LinearMeshHead"),
    loss=dict(type="HandLoss", heatmap=0.0, image_size=64),
    hand_model=dict(type="bundled"),
)


class Right(HandMeshEstimator):
    """As the core's."""


class WithoutTopology(HandMeshEstimator):
    topology = None

    def __init__(self, **arguments):
        super().__init__(**arguments)
        object.__delattr__(self, "topology")


class OddLossName(HandMeshEstimator):
    def loss(self, inputs, data_samples):
        return {"joints": super().loss(inputs, data_samples)["loss_joints3d"]}


class ForgottenLayer(HandMeshEstimator):
    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.spare = nn.Linear(2, 2)


class ReadsWhatIsNotThere(HandMeshEstimator):
    def loss(self, inputs, data_samples):
        losses = super().loss(inputs, data_samples)
        wanted = torch.stack([sample.joints3d for sample in data_samples])
        return losses | {"loss_mean": (wanted.mean() + 0 * losses["loss_joints3d"]).abs()}


class Cheats(HandMeshEstimator):
    def predict(self, inputs, data_samples=None):
        samples = super().predict(inputs, data_samples)
        for sample in samples:
            sample.pred_joints = sample.pred_joints + sample.joints3d.nan_to_num()
        return samples


class MixesTheBatch(HandMeshEstimator):
    def extract(self, images):
        return super().extract(images - images.mean((0, 2, 3), keepdim=True))


class NewSamples(HandMeshEstimator):
    def predict(self, inputs, data_samples=None):
        samples = super().predict(inputs, data_samples)
        return [HandDataSample(pred_joints=sample.pred_joints) for sample in samples]


class FlatJoints(HandMeshEstimator):
    def predict(self, inputs, data_samples=None):
        samples = super().predict(inputs, data_samples)
        for sample in samples:
            sample.pred_joints = sample.pred_joints.flatten()
        return samples


class SecretState(HandMeshEstimator):
    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.register_buffer("shift", torch.randn(3, 1, 1), persistent=False)

    def extract(self, images):
        return super().extract(images + self.shift)


class NotDeployable(HandMeshEstimator):
    deploy = None


class DeployedElsewhere(HandMeshEstimator):
    def deploy(self, **options):
        other = copy.deepcopy(self)
        nn.init.normal_(other.mesh_head.points.weight)
        return other


class TakesAnything(HandMeshEstimator):
    def __init__(self, no_such_argument=None, **arguments):
        super().__init__(**arguments)


BREACHES = [
    (WithoutTopology, "contract", ".topology"),
    (OddLossName, "contract", "'loss_\\*', not 'joints'"),
    (NewSamples, "contract", "the samples that it was given"),
    (FlatJoints, "contract", r"pred_joints .* must be \(21, 3\), not \(63,\)"),
    (ForgottenLayer, "gradients", "spare.weight"),
    (ReadsWhatIsNotThere, "unannotated", "loss_mean reads annotation"),
    (Cheats, "blind", "pred_joints depends on the annotation"),
    (MixesTheBatch, "batch", "depends on the batch"),
    (SecretState, "state_dict", "state-dict round trip"),
    (NotDeployable, "deploy", "deploy_model does it all"),
    (DeployedElsewhere, "deploy", "pred_.* of the deployed form differs"),
    (TakesAnything, "config", "unknown argument is accepted"),
]


@pytest.fixture
def register(monkeypatch):
    return registering(monkeypatch, "estimator")


def test_a_right_one_passes(register):
    assert failures("estimator", register(Right, **ARGUMENTS), context=Context(size=64)) == {}


@pytest.mark.parametrize(
    ("cls", "check", "words"), BREACHES, ids=[breach[0].__name__ for breach in BREACHES]
)
def test_a_breach_is_found_and_named(register, cls, check, words):
    config = register(cls, **ARGUMENTS)
    found = failures("estimator", config, check, context=Context(size=64))
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(found[check])
