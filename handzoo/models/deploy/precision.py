"""Half precision where the network itself would use it under autocast, and only there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from handzoo.models.deploy.observe import observe


def lower_weights(model: nn.Module, run: Callable[[], Any], dtype: torch.dtype) -> int:
    """Store the weights of convolutions, linear layers and attention in ``dtype``, in place.

    The model has then to be run under autocast, which would otherwise convert them at every call.
    Layers that run outside of autocast by the author's will, such as the last linear layers that
    give coordinates, keep float32: seen by running the model once.

    Args:
        model: in eval mode.
        run: calls it once on an example.
        dtype: bfloat16 or float16.

    Returns:
        How many layers were converted.
    """
    seen = observe(model, run, autocast=dtype)
    lowered = 0
    for layer, calls in seen.calls.items():
        if isinstance(layer, (nn.Conv2d, nn.Linear, nn.MultiheadAttention)) and all(
            call.autocast for call in calls
        ):
            layer.to(dtype)
            lowered += 1
    return lowered
