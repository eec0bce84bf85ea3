"""CM: CLIP-Hand's CLIP module."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from handzoo.errors import ConfigError, DataError, suggest
from handzoo.hands.camera import rotation_z
from handzoo.models.base import Features, Guidance
from handzoo.models.losses.nt_xent import nt_xent
from handzoo.registry import GUIDANCES, TEXT_ENCODERS, current_key_path
from handzoo.structures import HandTargets

VIEWS = ("feature", "peclr")
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


def undo_rotation(latent: Tensor, rotation: Tensor) -> Tensor:
    """Turn a latent vector back, seen as points of the image plane (PeCLR, section 3.3).

    Args:
        latent: (B, C), C even: C / 2 points.
        rotation: (B,) radians that the view was turned by. The view's scale needs no undoing:
            NT-Xent compares directions only.

    Returns:
        (B, C).
    """
    back = rotation_z(-rotation)[:, :2, :2].to(latent)
    points = latent.unflatten(1, (-1, 2))
    return (points @ back.transpose(1, 2)).flatten(1)


@GUIDANCES.register_module(name="CM")
class CLIPGuidance(Guidance):
    """CLIP module (section 3.5): contrast the global feature with itself plus CLIP's.

    Frozen encoders see image and prompt; their features, concatenated and projected, are f_clip.
    With the global feature f and one shared projection g: f11 = g(f), f22 = g(f + f_clip), and
    NT-Xent over the batch pulls the two of an image together.

    Args:
        feature_channels: D1..D4; f is the mean of f4.
        text_encoder: the frozen encoders, by default OpenCLIP with ViT-B-32 of OpenAI.
        channels: width of the contrasted vectors; even.
        temperature: of NT-Xent.
        weight: of the loss.
        views: ``feature``: both come from the same image. ``peclr``: f22 comes from a second
            augmented view, whose rotation is undone in the latent space (the pipeline must make
            a second view).
        image_mean, image_std: how the network's input was normalised, for pixels of 0 to 255.

    Raises:
        ConfigError: ``views`` is unknown or ``channels`` odd.
    """

    source = "CLIP-Hand, section 3.5; CLIP (Radford et al., 2021); PeCLR (Spurr et al., ICCV 2021)"

    def __init__(
        self,
        feature_channels: Sequence[int],
        text_encoder: Mapping[str, Any] | None = None,
        channels: int = 128,
        temperature: float = 0.5,
        weight: float = 10.0,
        views: str = "feature",
        image_mean: Sequence[float] = IMAGENET_MEAN,
        image_std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        if views not in VIEWS:
            raise ConfigError(
                f"{current_key_path('views')}: {views!r} is not one of {', '.join(VIEWS)}. "
                f"{suggest(views, VIEWS)}"
            )
        if channels % 2:
            raise ConfigError(f"{current_key_path('channels')}: must be even, got {channels}.")
        self.temperature, self.weight, self.views = temperature, weight, views
        self.text_encoder = TEXT_ENCODERS.build(
            text_encoder or {"type": "OpenCLIP"}, key="text_encoder"
        )
        width = feature_channels[-1]
        self.fuse = nn.Linear(2 * self.text_encoder.out_channels, width)
        self.project = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(inplace=True), nn.Linear(width, channels)
        )
        mean = torch.tensor(tuple(image_mean)).view(3, 1, 1) / 255
        std = torch.tensor(tuple(image_std)).view(3, 1, 1) / 255
        self.register_buffer("image_mean", mean, persistent=False)
        self.register_buffer("image_std", std, persistent=False)

    def loss(
        self,
        image: Tensor,
        features: Features,
        targets: HandTargets,
        encode: Callable[[Tensor], Features] | None = None,
    ) -> dict[str, Tensor]:
        """Return ``loss_contrastive``.

        Args:
            image: (B, 3, H, W), normalised.
            features: of ``image``.
            targets: for the prompts and the second view.
            encode: features of raw images, for the second view.

        Raises:
            DataError: ``views='peclr'`` and the pipeline made no second view.
        """
        rotation = None
        seen = features.maps[-1]
        if self.views == "peclr":
            if targets.view2_image is None or targets.view2_rotation is None or encode is None:
                raise DataError(
                    "guidance.views='peclr' contrasts two augmented views, and the samples have "
                    "one: add the pipeline step that makes a second view, or set views='feature'."
                )
            seen = encode(targets.view2_image).maps[-1]
            rotation = targets.view2_rotation
        first = self.project(features.maps[-1].mean((2, 3)))
        pixels = image.float() * self.image_std + self.image_mean
        language = self.fuse(self.text_encoder(pixels, targets.prompts))
        second = self.project(seen.mean((2, 3)) + language)
        if rotation is not None:
            second = undo_rotation(second, rotation)
        return {"loss_contrastive": self.weight * nt_xent(first, second, self.temperature)}
