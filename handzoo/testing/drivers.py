"""How to build a part of each role, feed it, and read its outputs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from handzoo.hands.conventions import NUM_COARSE, NUM_JOINTS, NUM_VERTICES
from handzoo.hands.topology import HandTopology
from handzoo.models.base import Features
from handzoo.registry import REGISTRIES
from handzoo.structures import HandPrediction, HandTargets
from handzoo.testing.fixtures import (
    make_features,
    make_image,
    make_prediction,
    make_targets,
    noise,
)

_RTOL, _ATOL = 1e-4, 1e-5


class ConformanceError(AssertionError):
    """A part does not do what its contract says."""


def require(condition: object, message: str) -> None:
    """Raise :class:`ConformanceError` unless the condition holds."""
    if not condition:
        raise ConformanceError(message)


def require_close(found: Tensor, expected: Tensor, message: str) -> None:
    """Raise :class:`ConformanceError` unless two results are equal but for rounding."""
    # Sums round by the size of what is summed, so a small entry of a map with large ones is as
    # uncertain as these.
    scale = max(1.0, expected.abs().max().item()) if expected.numel() else 1.0
    if not torch.allclose(found, expected, rtol=_RTOL, atol=_ATOL * scale):
        worst = (found - expected).abs().max().item()
        raise ConformanceError(f"{message}: largest difference {worst:.3g}")


@functools.cache
def _bundled() -> tuple[nn.Module, HandTopology]:
    from handzoo.hands.models import build_hand_model
    from handzoo.hands.topology import build_topology

    hand_model = build_hand_model("bundled")
    return hand_model, build_topology(hand_model)


@dataclass
class Context:
    """What a part is told about its neighbours, small so that checks are quick.

    Attributes:
        feature_channels: D1..D4 of the backbone.
        high_channels: D of the neck; None to test a head without a neck.
        query_channels: C of the queries; None to test a mesh head without a query head.
        has_camera: whether the queries start with a camera token.
        size: width of the image in pixels.
        before: configs of transforms that go before the one that is checked.
    """

    feature_channels: tuple[int, int, int, int] = (16, 24, 32, 48)
    high_channels: int | None = 16
    query_channels: int | None = 32
    has_camera: bool = True
    size: int = 224
    before: tuple[Mapping[str, Any], ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def topology(self) -> HandTopology:
        """The bundled hand's topology."""
        return _bundled()[1]

    @property
    def hand_model(self) -> nn.Module:
        """The bundled hand model."""
        return _bundled()[0]

    def keywords(self) -> dict[str, Any]:
        """The context keywords of every part's constructor."""
        return {
            "in_channels": self.feature_channels,
            "feature_channels": self.feature_channels,
            "high_channels": self.high_channels,
            "query_channels": self.query_channels,
            "topology": self.topology,
            "hand_model": self.hand_model,
            **self.extra,
        }

    def features(self, batch: int) -> Features:
        """Features of ``batch`` images."""
        return make_features(batch, self.feature_channels, self.high_channels, self.size)

    def queries(self, batch: int) -> Tensor | None:
        """Queries of ``batch`` images, or None."""
        if self.query_channels is None:
            return None
        count = NUM_JOINTS + NUM_COARSE + int(self.has_camera)
        return noise(batch, count, self.query_channels, seed=3)


def default_context() -> Context:
    """The context that checks use when none is given."""
    return Context()


def build(role: str, config: Mapping[str, Any], context: Context, seed: int = 0) -> nn.Module:
    """Build a part as the estimator would, with seeded weights."""
    torch.manual_seed(seed)
    return REGISTRIES[role].build(config, **context.keywords())


def _run_backbone(part: nn.Module, context: Context, batch: int) -> dict[str, Tensor]:
    maps = part(make_image(batch, context.size))
    require(len(maps) == 4, f"a backbone returns four maps, this one {len(maps)}")
    for index, (feature, width, stride) in enumerate(
        zip(maps, part.channels, part.strides, strict=True)
    ):
        side = -(-context.size // stride)
        shape = (batch, width, side, side)
        require(
            tuple(feature.shape) == shape,
            f"f{index + 1} must be {shape} by .channels and .strides, not {tuple(feature.shape)}",
        )
    return {f"f{index + 1}": feature for index, feature in enumerate(maps)}


def _run_neck(part: nn.Module, context: Context, batch: int) -> dict[str, Tensor]:
    high = part(context.features(batch).maps)
    shape = (batch, part.out_channels, context.size // 4, context.size // 4)
    require(tuple(high.shape) == shape, f"a neck returns {shape}, this one {tuple(high.shape)}")
    return {"high": high}


def _run_query_head(part: nn.Module, context: Context, batch: int) -> dict[str, Tensor]:
    output = part(context.features(batch))
    count = NUM_JOINTS + NUM_COARSE + int(part.has_camera)
    shape = (batch, count, part.out_channels)
    require(
        tuple(output.queries.shape) == shape,
        f"queries must be {shape} (camera, joints, vertices), not {tuple(output.queries.shape)}",
    )
    return {"queries": output.queries, **_named_heatmaps(output.heatmaps)}


def prediction_tensors(prediction: HandPrediction, batch: int) -> dict[str, Tensor]:
    """Check a prediction's shapes and return its tensors by name."""
    require(isinstance(prediction, HandPrediction), f"expected HandPrediction, got {prediction!r}")
    shapes = {
        "camera": (batch, 3),
        "joints": (batch, NUM_JOINTS, 3),
        "vertices": (batch, NUM_VERTICES, 3),
        "joints_from_vertices": (batch, NUM_JOINTS, 3),
    }
    if prediction.coarse_vertices is not None:
        shapes["coarse_vertices"] = (batch, NUM_COARSE, 3)
    for name, shape in shapes.items():
        found = tuple(getattr(prediction, name).shape)
        require(found == shape, f"prediction.{name} must be {shape}, not {found}")
    tensors = {name: getattr(prediction, name) for name in shapes}
    return {**tensors, **_named_heatmaps(prediction.heatmaps)}


def _named_heatmaps(heatmaps: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
    return {f"heatmaps[{name!r}]": value for name, value in (heatmaps or {}).items()}


def _run_mesh_head(part: nn.Module, context: Context, batch: int) -> dict[str, Tensor]:
    prediction = part(context.queries(batch), context.features(batch))
    return prediction_tensors(prediction, batch)


def _run_prior(part: nn.Module, context: Context, batch: int) -> dict[str, Tensor]:
    prediction = make_prediction(batch, context.topology, size=context.size)
    targets = None
    if part.training:
        targets = make_targets(batch, context.topology, size=context.size)
    return prediction_tensors(part(prediction, targets), batch)


def named_losses(losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Check the names and shapes of losses and return them."""
    require(losses, "no loss was returned")
    for name, value in losses.items():
        require(name.startswith("loss_"), f"losses are named 'loss_*', not {name!r}")
        require(
            isinstance(value, Tensor) and value.dim() == 0,
            f"{name} must be a scalar tensor, not {value!r}",
        )
    return dict(losses)


def require_unread(losses: Mapping[str, Tensor], leaves: Mapping[str, Tensor]) -> None:
    """Raise unless losses, and their gradients by ``leaves``, are finite where all is unknown.

    For losses of :func:`~handzoo.testing.fixtures.without_annotation`.
    """
    for name, value in losses.items():
        require(torch.isfinite(value), f"{name} reads annotation whose flag says no")
    total = sum(losses.values())
    if total.requires_grad:
        total.backward()
    for name, leaf in leaves.items():
        finite = leaf.grad is None or torch.isfinite(leaf.grad).all()
        require(finite, f"the gradient by {name} is not finite where nothing is annotated")


def _run_loss(part: nn.Module, context: Context, batch: int) -> dict[str, Tensor]:
    prediction = make_prediction(batch, context.topology, size=context.size)
    targets = make_targets(batch, context.topology, size=context.size)
    return named_losses(part(prediction, targets))


def _run_guidance(part: nn.Module, context: Context, batch: int) -> dict[str, Tensor]:
    targets: HandTargets = make_targets(batch, context.topology, size=context.size)
    image = make_image(batch, context.size)

    def encode(images: Tensor) -> Features:
        return context.features(len(images))

    arguments = (image, context.features(batch), targets, encode)
    try:
        inspect.signature(part.loss).bind(*arguments)
    except TypeError as error:
        raise ConformanceError(
            "loss cannot be called as the estimator does, with image, features, targets, encode "
            f"(Guidance.loss): {error}"
        ) from error
    return named_losses(part.loss(*arguments))


def _run_text_encoder(part: nn.Module, context: Context, batch: int) -> dict[str, Tensor]:
    prompts = [f"an image of a hand, number {index}" for index in range(batch)]
    text = part.encode_text(prompts)
    image = part.encode_image(make_image(batch, context.size))
    for name, found in (("encode_text", text), ("encode_image", image)):
        shape = (batch, part.out_channels)
        require(tuple(found.shape) == shape, f"{name} must give {shape}, not {tuple(found.shape)}")
    return {"text": text, "image": image}


def _run_hand_model(part: nn.Module, context: Context, batch: int) -> dict[str, Tensor]:
    output = part(0.2 * noise(batch, 48, seed=0), noise(batch, 10, seed=1))
    for name, count in (("vertices", NUM_VERTICES), ("joints", NUM_JOINTS)):
        found = tuple(getattr(output, name).shape)
        require(found == (batch, count, 3), f"{name} must be {(batch, count, 3)}, not {found}")
    return {"vertices": output.vertices, "joints": output.joints}


DRIVERS: dict[str, Callable[[nn.Module, Context, int], dict[str, Tensor]]] = {
    "backbone": _run_backbone,
    "neck": _run_neck,
    "query_head": _run_query_head,
    "mesh_head": _run_mesh_head,
    "prior": _run_prior,
    "loss": _run_loss,
    "guidance": _run_guidance,
    "text_encoder": _run_text_encoder,
    "hand_model": _run_hand_model,
}
