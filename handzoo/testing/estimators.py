"""What every estimator must do that is not put together of HandZoo's parts; those must, too.

The rest of HandZoo asks three things of an estimator: losses from annotated images, predictions
that know nothing of the annotation, and the tensors of both. See
:class:`~handzoo.models.estimators.HandMeshEstimator`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor

from handzoo.hands.conventions import NUM_JOINTS, NUM_VERTICES
from handzoo.hands.topology import HandTopology
from handzoo.registry import ESTIMATORS
from handzoo.structures import HandDataSample, empty_annotation
from handzoo.testing.configs import check_config
from handzoo.testing.drivers import (
    ConformanceError,
    Context,
    named_losses,
    prediction_tensors,
    require,
    require_close,
    require_unread,
)
from handzoo.testing.fixtures import make_image, make_targets, without_annotation

PREDICTED = {
    "pred_camera": (3,),
    "pred_joints": (NUM_JOINTS, 3),
    "pred_vertices": (NUM_VERTICES, 3),
    "pred_joints_from_vertices": (NUM_JOINTS, 3),
}


def build_estimator(config: Mapping[str, Any], seed: int = 0) -> Any:
    """Build an estimator as the runner would, with seeded weights."""
    torch.manual_seed(seed)
    return ESTIMATORS.build(config, key="model")


def make_batch(context: Context, count: int, annotated: bool = True) -> dict[str, Any]:
    """``count`` images of 0 to 255 and their samples, as a loader gives them.

    Args:
        context: gives size and topology.
        count: B.
        annotated: False for :func:`~handzoo.testing.fixtures.without_annotation`.
    """
    images = (128 + 40 * make_image(count, context.size)).clamp(0, 255).to(torch.uint8)
    targets = make_targets(count, context.topology, size=context.size)
    if not annotated:
        targets = without_annotation(targets)
    samples = []
    for index in range(count):
        fields = {name: getattr(targets, name)[index].clone() for name in empty_annotation()}
        meta = {"sample_id": index, "img_path": f"{index:08d}.jpg", "prompt": "an image of a hand"}
        samples.append(HandDataSample(metainfo=meta, **fields))
    return {"inputs": list(images), "data_samples": samples}


def _prepared(part: Any, context: Context, count: int, annotated: bool = True) -> dict[str, Any]:
    return part.data_preprocessor(make_batch(context, count, annotated), part.training)


def _losses(part: Any, context: Context, annotated: bool = True) -> dict[str, Tensor]:
    torch.manual_seed(1)
    batch = _prepared(part.train(), context, 2, annotated)
    losses = part(**batch, mode="loss")
    require(isinstance(losses, Mapping), f"mode 'loss' gives losses by name, not {losses!r}")
    return named_losses(losses)


def _predict(part: Any, context: Context, count: int, annotated: bool = True) -> dict[str, Tensor]:
    """What ``predict`` writes into the samples, stacked, after a look at all of it."""
    torch.manual_seed(1)
    batch = _prepared(part.eval(), context, count, annotated)
    with torch.no_grad():
        samples = part(**batch, mode="predict")
    require(
        isinstance(samples, list) and len(samples) == count,
        f"mode 'predict' gives a list of {count} samples, not {type(samples).__name__}",
    )
    for sample, given in zip(samples, batch["data_samples"], strict=True):
        require(
            isinstance(sample, HandDataSample) and sample.get("sample_id") == given.sample_id,
            "predict gives back the samples that it was given, in their order, filled",
        )
        for name, shape in PREDICTED.items():
            value = sample.get(name)
            found = tuple(value.shape) if isinstance(value, Tensor) else value
            require(found == shape, f"{name} of a predicted sample must be {shape}, not {found}")
            require(torch.isfinite(value).all(), f"{name} is not finite")
    return {name: torch.stack([sample.get(name) for sample in samples]) for name in PREDICTED}


def _contract(role: str, config: Mapping[str, Any], context: Context) -> None:
    """It has a topology and the three modes, each of which gives what the estimator's page says."""
    part = build_estimator(config)
    require(isinstance(part, BaseModel), "an estimator is derived from mmengine.model.BaseModel")
    require(
        isinstance(getattr(part, "topology", None), HandTopology),
        "an estimator has the HandTopology of its mesh as .topology: pictures and files need it",
    )
    for name, value in _losses(part, context).items():
        require(torch.isfinite(value), f"{name} is not finite")
    inputs = _prepared(part.eval(), context, 2)["inputs"]
    with torch.no_grad():
        tensors = prediction_tensors(part(inputs, mode="tensor"), 2)
    for name, value in tensors.items():
        require(torch.isfinite(value).all(), f"{name} is not finite")
    _predict(part, context, 2)


def _gradients(role: str, config: Mapping[str, Any], context: Context) -> None:
    """The losses give every parameter a gradient, or it is frozen by requires_grad = False."""
    part = build_estimator(config)
    sum(_losses(part, context).values()).backward()
    lacking = [n for n, p in part.named_parameters() if p.requires_grad and p.grad is None]
    require(not lacking, f"no gradient reaches {', '.join(lacking[:5])}: use or freeze them")


def _unannotated(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Where nothing is annotated, losses and gradients stay finite, whatever stands there."""
    part = build_estimator(config)
    losses = _losses(part, context, annotated=False)
    require_unread(losses, dict(part.named_parameters()))


def _blind(role: str, config: Mapping[str, Any], context: Context) -> None:
    """A prediction does not depend on the annotation: it would be cheating."""
    part = build_estimator(config)
    without = _predict(part, context, 2, annotated=False)
    for name, value in _predict(part, context, 2).items():
        require_close(without[name], value, f"{name} depends on the annotation of the sample")


def _batch(role: str, config: Mapping[str, Any], context: Context) -> None:
    """A sample's prediction does not depend on its batch."""
    part = build_estimator(config)
    several = _predict(part, context, 3)
    for name, value in _predict(part, context, 1).items():
        require_close(value, several[name][:1], f"{name} depends on the batch it is in")


def _state_dict(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Its state dict, saved and loaded weights-only, carries all that a prediction depends on."""
    part, other = build_estimator(config, seed=0), build_estimator(config, seed=1)
    buffer = io.BytesIO()
    torch.save(part.state_dict(), buffer)
    buffer.seek(0)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    first = _predict(part, context, 2)
    for name, value in _predict(other, context, 2).items():
        require_close(value, first[name], f"{name} differs after a state-dict round trip")


def _deploy(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Its deployed form predicts the same, and it is left as it was."""
    part = build_estimator(config)
    expected = _predict(part, context, 2)
    if not callable(getattr(part, "deploy", None)):
        raise ConformanceError(
            "deploy() is missing: --deploy calls it; handzoo.models.deploy.deploy_model does it all"
        )
    deployed = part.deploy(image_size=context.size)
    for form, which in ((deployed, "the deployed form"), (part, "the model after deploy()")):
        for name, value in _predict(form, context, 2).items():
            require_close(value, expected[name], f"{name} of {which} differs")


def _config(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Its config survives being dumped and read again; a wrong argument is refused by name."""
    check_config(config, build_estimator)


CHECKS: tuple[Callable[[str, Mapping[str, Any], Context], None], ...] = (
    _contract,
    _gradients,
    _unannotated,
    _blind,
    _batch,
    _state_dict,
    _deploy,
    _config,
)
