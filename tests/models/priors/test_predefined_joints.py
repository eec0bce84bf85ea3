"""PJ: templates go through exactly the sample's rotation and scale."""

import math

import pytest
import torch

from handzoo.errors import ConfigError
from handzoo.hands.camera import rotation_z
from handzoo.hands.gestures import gesture_templates
from handzoo.models.priors import PredefinedJoints
from handzoo.models.priors.predefined_joints import augment_templates
from handzoo.testing.fixtures import make_prediction, make_targets


@pytest.fixture
def prior():
    torch.manual_seed(0)
    module = PredefinedJoints()
    torch.nn.init.normal_(module.out.weight)
    return module


def test_templates_are_the_nineteen_gestures(prior):
    assert prior.templates.shape == (19, 21, 3)
    torch.testing.assert_close(prior.templates, torch.as_tensor(gesture_templates()))
    assert "templates" not in prior.state_dict()


def test_carried_by_the_samples_rotation_and_scale(prior):
    angle, scale = torch.tensor([0.3, -1.2]), torch.tensor([1.1, 0.8])
    carried = augment_templates(prior.templates, angle, scale)
    for sample in range(2):
        c, s = math.cos(angle[sample]), math.sin(angle[sample])
        for template in (0, 7, 18):
            x, y, z = prior.templates[template].unbind(-1)
            # Clockwise on a screen whose y points down: x towards y.
            turned = torch.stack([c * x - s * y, s * x + c * y, z], -1)
            torch.testing.assert_close(carried[sample, template], scale[sample] * turned)


def test_prior_sees_exactly_those_templates(prior, topology):
    prediction, targets = make_prediction(2, topology), make_targets(2, topology)
    targets.aug_rotation = torch.tensor([0.5, -0.4])
    targets.aug_scale = torch.tensor([1.2, 0.9])
    refined = prior(prediction, targets).joints
    for sample in range(2):
        turn = rotation_z(targets.aug_rotation[sample])
        own = PredefinedJoints(templates=prior.templates @ turn.T * targets.aug_scale[sample])
        own.load_state_dict(prior.state_dict())
        wanted = own(prediction[sample], None).joints
        torch.testing.assert_close(refined[sample : sample + 1], wanted)


def test_scale_can_be_left_out(topology):
    torch.manual_seed(0)
    prior = PredefinedJoints(scale_templates=False)
    prediction, targets = make_prediction(2, topology), make_targets(2, topology)
    targets.aug_scale = torch.tensor([1.0, 1.0])
    before = prior(prediction, targets).joints
    targets.aug_scale = torch.tensor([2.0, 0.5])
    assert torch.equal(before, prior(prediction, targets).joints)


def test_inference_uses_templates_as_they_are(prior, topology):
    prediction, targets = make_prediction(2, topology), make_targets(2, topology)
    targets.aug_rotation, targets.aug_scale = torch.zeros(2), torch.ones(2)
    torch.testing.assert_close(prior(prediction, None).joints, prior(prediction, targets).joints)


def test_annotation_is_not_read(prior, topology):
    prediction, targets = make_prediction(2, topology), make_targets(2, topology)
    before = prior(prediction, targets).joints
    targets.joints3d, targets.gesture = targets.joints3d + 1, targets.gesture + 1
    assert torch.equal(before, prior(prediction, targets).joints)


def test_attention_against_torch(prior):
    """The same parameters in nn.MultiheadAttention give the same mixture."""
    torch.manual_seed(1)
    joints, templates = 0.05 * torch.randn(2, 21, 3), 0.05 * torch.randn(2, 19, 21, 3)
    reference = torch.nn.MultiheadAttention(64, prior.num_heads, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(torch.eye(64).repeat(3, 1))
        reference.in_proj_bias.zero_()
        reference.out_proj.weight.copy_(torch.eye(64))
        reference.out_proj.bias.zero_()
    query = prior.query(10 * joints) + prior.joint_code
    key = (prior.key(10 * templates) + prior.joint_code).flatten(1, 2)
    value = (prior.value(10 * templates) + prior.joint_code).flatten(1, 2)
    wanted = 0.1 * prior.out(reference(query, key, value)[0])
    torch.testing.assert_close(prior.attend(joints, templates), wanted, rtol=1e-4, atol=1e-6)


def test_heads_must_divide():
    with pytest.raises(ConfigError, match="5 heads do not divide 64"):
        PredefinedJoints(num_heads=5)
