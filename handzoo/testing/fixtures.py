"""Made-up inputs with the shapes and the statistics of the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from handzoo.hands.camera import normalized_to_pixels, rotation_z, weak_perspective_project
from handzoo.hands.rotations import axis_angle_to_matrix
from handzoo.hands.topology import HandTopology
from handzoo.models.base import Features
from handzoo.structures import HandPrediction, HandTargets, empty_annotation


def noise(batch: int, *shape: int, seed: int = 0) -> Tensor:
    """Standard normal (batch, *shape) whose first samples do not depend on the batch size."""
    samples = [
        torch.randn(shape, generator=torch.Generator().manual_seed(1000 * seed + index))
        for index in range(batch)
    ]
    return torch.stack(samples)


def make_image(batch: int, size: int = 224, seed: int = 0) -> Tensor:
    """A normalised image batch (B, 3, size, size), smooth as photographs are."""
    coarse = noise(batch, 3, size // 16, size // 16, seed=seed)
    return torch.nn.functional.interpolate(coarse, size=size, mode="bilinear", align_corners=False)


def make_features(
    batch: int,
    channels: Sequence[int],
    high_channels: int | None,
    size: int = 224,
    seed: int = 0,
) -> Features:
    """Backbone maps at strides 4..32, and the neck's map if ``high_channels`` is given."""
    maps = tuple(
        noise(batch, width, size // stride, size // stride, seed=seed + index)
        for index, (width, stride) in enumerate(zip(channels, (4, 8, 16, 32), strict=True))
    )
    high = None
    if high_channels is not None:
        high = noise(batch, high_channels, size // 4, size // 4, seed=seed + 4)
    return Features(maps, high)


def make_targets(batch: int, topology: HandTopology, seed: int = 0, size: int = 224) -> HandTargets:
    """Fully annotated targets: the template turned in the image plane and moved a little."""
    angle = noise(batch, seed=seed).tanh()
    turn = rotation_z(angle)
    template = topology.template - topology.template_joints[:1]
    vertices = template @ turn.transpose(1, 2)
    joints = topology.regress_joints(vertices)
    vertices, joints = vertices - joints[:, :1], joints - joints[:, :1]
    camera = torch.tensor([6.0, 0.0, 0.0]).repeat(batch, 1)
    camera[:, 1:] += noise(batch, 2, seed=seed + 1) * 0.01
    fields = {name: torch.stack([value] * batch) for name, value in empty_annotation().items()}
    for name in ("vertices_valid", "root_valid", "K_valid", "mano_valid"):
        fields[name] = torch.ones(batch, dtype=torch.bool)
    for name in ("joints3d_valid", "joints2d_valid"):
        fields[name] = torch.ones(batch, joints.shape[1], dtype=torch.bool)
    focal = 2.0 * size
    K = torch.tensor([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    fields.update(
        joints3d=joints,
        vertices=vertices,
        joints2d=normalized_to_pixels(weak_perspective_project(joints, camera), size),
        root=torch.cat((camera[:, 1:], torch.full((batch, 1), 2 * focal / (6.0 * size))), dim=1),
        K=K.repeat(batch, 1, 1),
        aug_rotation=angle,
        gesture=torch.arange(batch) % 19,
    )
    return HandTargets(**fields, prompts=["an image of a hand"] * batch)


def without_annotation(targets: HandTargets) -> HandTargets:
    """The same crops with nothing annotated: every flag says no, every number below one is NaN.

    NaN is what a data set may leave where it knows nothing; zeros would hide who reads them.
    """
    fields = {}
    for name in empty_annotation():
        value = getattr(targets, name)
        if name == "gesture":
            fields[name] = torch.full_like(value, -1)
        elif name.endswith("_valid"):
            fields[name] = torch.zeros_like(value)
        elif not name.startswith("aug_"):  # these are of the crop, and always known
            fields[name] = torch.full_like(value, torch.nan)
    return replace(targets, **fields)


def make_prediction(
    batch: int, topology: HandTopology, seed: int = 0, error: float = 0.01, size: int = 224
) -> HandPrediction:
    """A prediction ``error`` metres off :func:`make_targets`, with heatmaps at two scales.

    ``aux`` holds what heads that regress a hand model's parameters add.
    """
    targets = make_targets(batch, topology, seed, size)
    vertices = targets.vertices + error * noise(*targets.vertices.shape, seed=seed + 2)
    joints = targets.joints3d + error * noise(*targets.joints3d.shape, seed=seed + 3)
    camera = torch.tensor([6.0, 0.0, 0.0]).repeat(batch, 1)
    counts = {"joints": joints.shape[1], "vertices": topology.down.shape[0]}
    heatmaps = {}
    for name, count in counts.items():
        for suffix, stride in (("", 4), ("_x2", 2)):
            side = size // stride
            heatmaps[name + suffix] = noise(batch, count, side, side, seed=seed + 4)
    return HandPrediction(
        camera=camera,
        joints=joints,
        vertices=vertices,
        joints_from_vertices=topology.regress_joints(vertices),
        coarse_vertices=topology.downsample(vertices),
        heatmaps=heatmaps,
        aux={
            "mano_rotations": axis_angle_to_matrix(0.2 * noise(batch, 16, 3, seed=seed + 5)),
            "mano_shape": noise(batch, 10, seed=seed + 6),
        },
    )
