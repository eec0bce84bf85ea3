"""Batch norms folded into the convolutions before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from handzoo.models.deploy.observe import BATCH_NORMS, observe, replace_module

FOLDABLE = (nn.Conv2d, nn.Linear)


def fold_batch_norms(model: nn.Module, run: Callable[[], Any]) -> int:
    """Fold every batch norm that reads a convolution's or linear layer's result and alone does so.

    Works in place, on any network: pairs are found by running it, see
    :mod:`handzoo.models.deploy.observe`. A batch norm with an activation inside (timm's
    ``BatchNormAct2d``) leaves the activation behind.

    Args:
        model: in eval mode.
        run: calls it once on an example.

    Returns:
        How many were folded.
    """
    seen = observe(model, run)
    producers = {}
    for layer in list(seen.calls):
        call = seen.single(layer)
        if isinstance(layer, FOLDABLE) and call is not None:
            producers[id(call.output)] = layer
    folded = 0
    for norm in list(seen.calls):
        call = seen.single(norm)
        if not isinstance(norm, BATCH_NORMS) or call is None or norm.running_mean is None:
            continue
        layer = producers.get(id(call.inputs))
        if layer is None or seen.uses[id(call.inputs)] != 1:
            continue
        _fold(layer, norm)
        replace_module(model, norm, _rest(norm))
        folded += 1
    return folded


@torch.no_grad()
def _fold(layer: nn.Module, norm: nn.Module) -> None:
    """``norm(layer(x)) == layer'(x)``; computed in float64."""
    scale, shift = _affine(norm)
    weight = layer.weight.double()
    bias = 0.0 if layer.bias is None else layer.bias.double()
    weight = weight * scale.view(-1, *[1] * (weight.dim() - 1))
    layer.weight = _like(weight, layer.weight)
    layer.bias = _like(bias * scale + shift, layer.weight)


def _affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """What the norm multiplies by and adds, (C,) each."""
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = -norm.running_mean.double() * scale
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    return scale, shift


def _like(value: Tensor, parameter: nn.Parameter) -> nn.Parameter:
    return nn.Parameter(value.to(parameter.dtype), requires_grad=False)


def _rest(norm: nn.Module) -> nn.Module:
    """What is left of a batch norm once its arithmetic is elsewhere."""
    parts = [getattr(norm, name, None) for name in ("drop", "act")]
    kept = [part for part in parts if part is not None and not isinstance(part, nn.Identity)]
    if not kept:
        return nn.Identity()
    return kept[0] if len(kept) == 1 else nn.Sequential(*kept)
