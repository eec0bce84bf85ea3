"""PJ: CLIP-Hand's predefined 3D joints."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handzoo.errors import ConfigError
from handzoo.hands.camera import rotation_z
from handzoo.hands.conventions import NUM_JOINTS
from handzoo.models.base import Prior
from handzoo.registry import PRIORS, current_key_path
from handzoo.structures import HandPrediction, HandTargets


def augment_templates(templates: Tensor, rotation: Tensor, scale: Tensor) -> Tensor:
    """Carry templates through a sample's augmentation (section 3.6).

    Args:
        templates: (T, 21, 3) metres, relative to the wrist.
        rotation: (B,) radians in the image plane, positive clockwise on the screen.
        scale: (B,).

    Returns:
        (B, T, 21, 3).
    """
    turned = torch.einsum("bij,tnj->btni", rotation_z(rotation), templates)
    return turned * scale[:, None, None, None]


@PRIORS.register_module(name="PJ")
class PredefinedJoints(Prior):
    """Predicted joints attend to the joints of 19 predefined gestures (section 3.6).

    Query: the predicted joints. Key and value: all joints of all templates, so that each joint
    mixes templates by soft weights. Which joint a token is, is told by a learned code that both
    sides share. The result is added to the joints.

    Args:
        channels: width of the attention.
        num_heads: divides ``channels``.
        scale_templates: apply the augmentation's scale to the templates, as the paper says, and
            not only its rotation.
        templates: (T, 21, 3) metres, instead of those of the HaGRID gestures.

    Raises:
        ConfigError: the heads do not divide the channels.
    """

    source = "CLIP-Hand, section 3.6; HaGRID (Kapitanov et al., WACV 2024)"

    def __init__(
        self,
        channels: int = 64,
        num_heads: int = 4,
        scale_templates: bool = True,
        templates: Tensor | None = None,
    ) -> None:
        super().__init__()
        if channels % num_heads:
            raise ConfigError(
                f"{current_key_path('num_heads')}: {num_heads} heads do not divide "
                f"{channels} channels."
            )
        if templates is None:
            from handzoo.hands.gestures import gesture_templates

            templates = torch.as_tensor(gesture_templates())
        self.num_heads = num_heads
        self.scale_templates = scale_templates
        self.register_buffer("templates", templates.float(), persistent=False)
        self.joint_code = nn.Parameter(torch.randn(NUM_JOINTS, channels))
        self.query = nn.Linear(3, channels)
        self.key = nn.Linear(3, channels)
        self.value = nn.Linear(3, channels)
        self.out = nn.Linear(channels, 3)
        nn.init.normal_(self.out.weight, std=1e-2)
        nn.init.zeros_(self.out.bias)

    def forward(self, prediction: HandPrediction, targets: HandTargets | None) -> HandPrediction:
        """Return the prediction with refined joints (B, 21, 3)."""
        joints = prediction.joints
        if targets is None:
            templates = self.templates[None].expand(joints.shape[0], -1, -1, -1)
        else:
            scale = targets.aug_scale
            if not self.scale_templates:
                scale = torch.ones_like(scale)
            templates = augment_templates(self.templates, targets.aug_rotation, scale)
        return prediction.replace(joints=joints + self.attend(joints, templates.to(joints)))

    def attend(self, joints: Tensor, templates: Tensor) -> Tensor:
        """What joints (B, 21, 3) gather from templates (B, T, 21, 3): (B, 21, 3) metres."""
        # Decimetres, so that coordinates weigh as much as the joints' codes.
        joints, templates = 10 * joints, 10 * templates

        def heads(x: Tensor) -> Tensor:
            return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

        query = self.query(joints) + self.joint_code
        key = (self.key(templates) + self.joint_code).flatten(1, 2)
        value = (self.value(templates) + self.joint_code).flatten(1, 2)
        mixed = F.scaled_dot_product_attention(heads(query), heads(key), heads(value))
        return 0.1 * self.out(mixed.transpose(1, 2).flatten(2))
