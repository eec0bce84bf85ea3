"""The contracts between the parts of an estimator.

A part is a module that is registered, built from a config, and composed by
:class:`~handzoo.models.estimators.HandMeshEstimator`. The estimator passes what a part has to know
about its neighbours (channels, topology) as keyword arguments; a part takes those that it needs.
``handzoo.testing`` checks every part against this page.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from handzoo.structures import HandPrediction, HandTargets


@dataclass
class Features:
    """What backbone and neck saw.

    Attributes:
        maps: f1..f4 of the backbone, (B, D_i, H / s_i, W / s_i) with strides s = 4, 8, 16, 32.
        high: (B, D, H / 4, W / 4) of the neck, or None without a neck.
    """

    maps: tuple[Tensor, ...]
    high: Tensor | None = None


@dataclass
class QueryOutput:
    """Decoder queries.

    Attributes:
        queries: (B, Q, C), in the order camera, joints (21), coarse vertices (195). Q is 217, or
            216 when the head makes no camera token.
        heatmaps: logits (B, 21 or 195, H, W) by name, for supervision; None if the head has none.
    """

    queries: Tensor
    heatmaps: dict[str, Tensor] | None = None


class Part(nn.Module, ABC):
    """Base of all parts.

    Attributes:
        source: where the part is described: section of the paper, or reference.
        exportable: whether ``tools/export.py`` can write the part as ONNX; False is a part's way
            of saying that it uses an operation for which ONNX has none. Guidance never runs at
            inference and need not be.
    """

    source: ClassVar[str] = ""
    exportable: ClassVar[bool] = True

    def deploy(self) -> nn.Module:
        """The module that runs instead of this one in a deployed model; by default itself.

        Called in eval mode on a copy, which may be changed and need not be trainable any more.
        The function must stay the same (to 1e-4); what is generic (batch norms, memory format,
        convolution algorithm) is done for every part by :mod:`handzoo.models.deploy`. Layers
        inside a part may have this method too.
        """
        return self


class Backbone(Part):
    """Image (B, 3, H, W) -> four maps.

    Attributes:
        channels: (D1, D2, D3, D4) of the maps.
        strides: (4, 8, 16, 32).
    """

    channels: Sequence[int]
    strides: Sequence[int] = (4, 8, 16, 32)

    @abstractmethod
    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return f1..f4, (B, D_i, H / s_i, W / s_i)."""


class Neck(Part):
    """Four maps -> one high-resolution map.

    Context: ``in_channels`` (D1..D4).

    Attributes:
        out_channels: D of the map.
    """

    out_channels: int

    @abstractmethod
    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return (B, D, H / 4, W / 4)."""


class QueryHead(Part):
    """Features -> queries of the mesh head.

    Context: ``feature_channels`` (D1..D4), ``high_channels`` (D or None), ``topology``.

    Attributes:
        out_channels: C of the queries.
        has_camera: whether the first query is the camera's.
    """

    out_channels: int
    has_camera: bool = True

    @abstractmethod
    def forward(self, features: Features) -> QueryOutput:
        """Return the queries, and heatmaps where the head makes them."""


class MeshHead(Part):
    """Queries and features -> prediction.

    Context: ``feature_channels``, ``high_channels``, ``query_channels`` (C or None), ``topology``,
    ``hand_model``.
    """

    @abstractmethod
    def forward(self, queries: Tensor | None, features: Features) -> HandPrediction:
        """Return the prediction; ``queries`` is None for an estimator without a query head."""


class Prior(Part):
    """Refine a prediction with knowledge that is not in the image. Context: ``topology``."""

    @abstractmethod
    def forward(self, prediction: HandPrediction, targets: HandTargets | None) -> HandPrediction:
        """Return the refined prediction.

        ``targets`` is given in training for the augmentation that the sample went through
        (``aug_rotation``, ``aug_scale``); nothing of the annotation may be used. It is None
        at inference.
        """


class Guidance(Part):
    """A training-time branch that shapes features and is dropped at inference.

    Context: ``feature_channels``.
    """

    @abstractmethod
    def loss(
        self,
        image: Tensor,
        features: Features,
        targets: HandTargets,
        encode: Callable[[Tensor], Features] | None = None,
    ) -> dict[str, Tensor]:
        """Return named scalar losses, weighted.

        Args:
            image: (B, 3, H, W), the network's input.
            features: what backbone and neck saw in it.
            targets: annotation, prompts, and the second view if the pipeline made one.
            encode: features of other images, (B, 3, H, W) of 0 to 255.
        """


class Loss(nn.Module, ABC):
    """Prediction and targets -> named scalars, weighted, each named ``loss_*``.

    A loss never reads what the ``*_valid`` flags do not allow.
    """

    source: ClassVar[str] = ""

    @abstractmethod
    def forward(self, prediction: HandPrediction, targets: HandTargets) -> dict[str, Tensor]:
        """Return the losses of the batch."""


def where_known(values: Tensor, mask: Tensor) -> Tensor:
    """``values`` with zeros where the mask is false, whatever a data set left there.

    A mask on the loss alone is not enough: the gradient of an unknown number is 0 * NaN = NaN.

    Args:
        values: (B, ...), annotation.
        mask: broadcastable to ``values`` from the left, bool.
    """
    while mask.dim() < values.dim():
        mask = mask.unsqueeze(-1)
    return torch.where(mask, values, 0)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of ``values`` where ``mask`` is true, and a zero that carries no gradient elsewhere.

    Args:
        values: (B, ...).
        mask: broadcastable to ``values`` from the left, bool.

    Returns:
        Scalar; zero (still attached to the graph) when nothing is valid.
    """
    weight = mask.to(values.dtype)
    while weight.dim() < values.dim():
        weight = weight.unsqueeze(-1)
    weight = weight.expand_as(values)
    return torch.where(weight > 0, values, 0).sum() / weight.sum().clamp(min=1)
