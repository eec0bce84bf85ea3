"""Small estimators of the core's families, with weights that make every layer count."""

import copy

import torch
from torch import nn

from handzoo.models.layers.pooling_attention import LayerScale
from handzoo.registry import ESTIMATORS

SIZE = 64
CLIPHAND = dict(
    backbone=dict(type="PAT", depths=(1, 1, 1, 1), widths=(32, 32, 64, 64), pretrained=False),
    neck=dict(type="HFA", out_channels=32),
    query_head=dict(type="MHF", channels=64, num_blocks=2, memory_tokens=4),
    mesh_head=dict(type="MTED", channels=(32, 16), feedforward=(32, 16), num_heads=4),
    prior=dict(type="PJ", channels=16, num_heads=2),
    loss=dict(type="HandLoss", image_size=SIZE),
)
RESNET = dict(type="TimmBackbone", name="resnet10t", pretrained=False)
METRO = dict(
    backbone=RESNET,
    query_head=dict(type="TemplateQueries"),
    mesh_head=dict(
        type="MetroHead",
        block_channels=(32, 16, 16),
        out_channels=(16, 16),
        num_layers=1,
        num_heads=4,
    ),
)
FASTMETRO = dict(
    backbone=RESNET,
    query_head=dict(type="LearnedQueries", channels=32),
    mesh_head=dict(
        type="FastMetroHead",
        stage_channels=(32, 16),
        feedforward_channels=(32, 16),
        num_layers=1,
        num_heads=4,
    ),
)
LINEAR = dict(
    backbone=dict(type="TimmBackbone", name="repvgg_a0", pretrained=False),
    mesh_head=dict(type="LinearMeshHead"),
)
FAMILIES = {"cliphand": CLIPHAND, "metro": METRO, "fastmetro": FASTMETRO, "linear": LINEAR}


def build(family, **changes):
    """An estimator in eval mode whose weights and running statistics are all random."""
    torch.manual_seed(0)
    config = {**copy.deepcopy(FAMILIES[family]), **changes}
    model = ESTIMATORS.build(
        dict(type="HandMeshEstimator", hand_model=dict(type="bundled"), **config), key="model"
    )
    return shake(model).eval()


def shake(model):
    """Give norms and layer scales values that are far from their initial ones."""
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2.0)
        if isinstance(module, LayerScale):
            nn.init.uniform_(module.scale, 0.1, 0.5)
    return model


def images(count=2, size=SIZE, seed=3):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))
