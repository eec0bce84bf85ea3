"""CM: what is contrasted with what, whose rotation is undone, and who learns."""

import math

import pytest
import torch

from handzoo.errors import ConfigError, DataError
from handzoo.models.base import Features
from handzoo.models.guidance import CLIPGuidance
from handzoo.models.guidance.clip_guidance import undo_rotation
from handzoo.models.losses import nt_xent
from handzoo.testing.fixtures import make_features, make_image, make_targets

CHANNELS = (16, 24, 32, 48)


@pytest.fixture
def batch(topology, prompts):
    targets = make_targets(8, topology)
    targets.prompts = prompts
    return make_image(8, 64), make_features(8, CHANNELS, None, 64), targets


def test_loss_is_that_of_the_definition(stand_in_clip, batch):
    image, features, targets = batch
    torch.manual_seed(0)
    module = CLIPGuidance(CHANNELS, temperature=0.3, weight=10.0)
    found = module.loss(image, features, targets)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    f = features.maps[-1].mean((2, 3))
    f_clip = module.fuse(module.text_encoder(image * std + mean, targets.prompts))
    wanted = 10 * nt_xent(module.project(f), module.project(f + f_clip), 0.3)
    assert set(found) == {"loss_contrastive"}
    torch.testing.assert_close(found["loss_contrastive"], wanted, rtol=1e-4, atol=1e-5)


def test_gradients_reach_features_and_projections_but_not_clip(stand_in_clip, batch):
    image, features, targets = batch
    features = Features((*features.maps[:3], features.maps[3].requires_grad_()))
    module = CLIPGuidance(CHANNELS)
    module.loss(image, features, targets)["loss_contrastive"].backward()
    assert features.maps[3].grad.abs().sum() > 0
    assert all(parameter.grad.abs().sum() > 0 for parameter in module.parameters())
    assert all(p.grad is None for p in module.text_encoder.frozen().model.parameters())
    assert all(key.split(".")[0] in ("fuse", "project") for key in module.state_dict())


def test_undoing_a_rotation():
    torch.manual_seed(0)
    points = torch.randn(2, 5, 2)
    angle = torch.tensor([0.4, -1.1])
    turned = torch.stack(
        [
            math.cos(a) * points[i, :, 0:1] * torch.tensor([1.0, 0.0])
            - math.sin(a) * points[i, :, 1:2] * torch.tensor([1.0, 0.0])
            + math.sin(a) * points[i, :, 0:1] * torch.tensor([0.0, 1.0])
            + math.cos(a) * points[i, :, 1:2] * torch.tensor([0.0, 1.0])
            for i, a in enumerate(angle.tolist())
        ]
    )
    torch.testing.assert_close(undo_rotation(turned.flatten(1), angle), points.flatten(1))


def test_peclr_reads_the_second_view(stand_in_clip, batch):
    image, features, targets = batch
    torch.manual_seed(0)
    module = CLIPGuidance(CHANNELS, views="peclr", weight=1.0, temperature=0.5)
    with pytest.raises(DataError, match="a second view"):
        module.loss(image, features, targets)
    second = make_features(8, CHANNELS, None, 64, seed=5)
    targets.view2_image = torch.full((8, 3, 64, 64), 7, dtype=torch.uint8)
    targets.view2_rotation = torch.linspace(-1, 1, 8)
    seen = []

    def encode(images):
        seen.append(images)
        return second

    found = module.loss(image, features, targets, encode)["loss_contrastive"]
    assert seen[0] is targets.view2_image
    language = module.fuse(
        module.text_encoder(image * module.image_std + module.image_mean, targets.prompts)
    )
    other = module.project(second.maps[-1].mean((2, 3)) + language)
    other = undo_rotation(other, targets.view2_rotation)
    wanted = nt_xent(module.project(features.maps[-1].mean((2, 3))), other, 0.5)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_wrong_arguments_are_named(stand_in_clip):
    with pytest.raises(ConfigError, match="views: 'pecler'.*Did you mean 'peclr'"):
        CLIPGuidance(CHANNELS, views="pecler")
    with pytest.raises(ConfigError, match="channels: must be even"):
        CLIPGuidance(CHANNELS, channels=7)
