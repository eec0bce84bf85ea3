"""The steps of a deployment, in order."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from handzoo.errors import ConfigError
from handzoo.models.deploy.batch_norm import fold_batch_norms
from handzoo.models.deploy.precision import lower_weights
from handzoo.models.deploy.winograd import use_winograd

_LOGGER = logging.getLogger(__name__)
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def deploy_model(
    model: nn.Module,
    *,
    dtype: str = "fp32",
    image_size: int = 224,
    channels_last: bool = True,
    winograd: bool | None = None,
    compile: bool = False,
) -> nn.Module:
    """A copy of an estimator in its fastest form.

    1. What only training uses is left out: guidance and losses (and MHF's second heatmap scale).
    2. Parts rewrite themselves (:meth:`handzoo.models.base.Part.deploy`).
    3. Batch norms are folded into the layers before them.
    4. Large 3x3 convolutions use Winograd's algorithm (float32 on a CPU).
    5. Convolution weights and images are channels-last.
    6. For ``bf16`` and ``fp16``, weights are stored so, and the model runs under autocast.
    7. ``compile`` hands the rest to torch.compile.

    In fp32 the result equals the model's to 1e-4. The copy is frozen and in eval mode, and its
    state dict is its own: load a checkpoint before.

    Args:
        model: an estimator with weights loaded; left as it is.
        dtype: ``fp32``, ``bf16`` or ``fp16``.
        image_size: side of the square images, for an example that the model is run on.
        channels_last: keep convolution weights and images channels-last.
        winograd: True or False; by default where it pays, which is float32 on a CPU.
        compile: needs a C++ compiler on a CPU, and takes minutes at the first call.

    Raises:
        ConfigError: unknown dtype, or Winograd's algorithm in half precision.
    """
    if dtype not in DTYPES:
        raise ConfigError(f"dtype: {dtype!r} is none of {', '.join(DTYPES)}.")
    device = _device(model)
    if winograd is None:
        winograd = dtype == "fp32" and device.type == "cpu"
    if winograd and dtype != "fp32":
        raise ConfigError(f"winograd: its rounding is too coarse in {dtype}; use fp32.")
    model = _inference_copy(model).eval()
    image = torch.zeros(1, 3, image_size, image_size, device=device)

    def run() -> Any:
        return model(image, mode="tensor")

    deploy_parts(model)
    model.eval().requires_grad_(False)
    done = {"batch norms folded": fold_batch_norms(model, run)}
    if winograd:
        done["Winograd convolutions"] = use_winograd(model, run)
    if channels_last:
        model.to(memory_format=torch.channels_last)
        model.data_preprocessor.channels_last = True
        model.register_forward_pre_hook(_to_channels_last)
    if dtype != "fp32":
        done["layers in half precision"] = lower_weights(model, run, DTYPES[dtype])
        model.forward = _under_autocast(model.forward, device.type, DTYPES[dtype])
    if compile:
        model.compile()
    model.deployed = {
        "dtype": dtype,
        "channels_last": channels_last,
        "winograd": winograd,
        "compile": compile,
    }
    _LOGGER.info("deployed: %s", ", ".join(f"{count} {what}" for what, count in done.items()))
    return model


def deploy_parts(model: nn.Module) -> None:
    """Let every module below ``model`` that has a ``deploy`` method put another in its place.

    Outer modules come first, so that a part may rebuild what its layers would have changed.
    """
    for name, child in list(model.named_children()):
        hook = getattr(type(child), "deploy", None)
        if callable(hook):
            replacement = child.deploy()
            if replacement is not child:
                setattr(model, name, replacement)
            child = replacement
        deploy_parts(child)


def _inference_copy(model: nn.Module) -> nn.Module:
    """A deep copy without what only training uses (CLIP is four times the rest)."""
    shared = {}
    for name in ("hand_model", "topology"):
        if hasattr(model, name):
            shared[id(getattr(model, name))] = getattr(model, name)
    guidance = getattr(model, "guidance", None)
    if guidance is not None:
        shared[id(guidance)] = None
    copied = copy.deepcopy(model, shared)
    if hasattr(copied, "losses"):
        copied.losses = nn.ModuleList()
    return copied


def _device(model: nn.Module) -> torch.device:
    first = next(model.parameters(), None)
    return first.device if first is not None else torch.device("cpu")


def _to_channels_last(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    if args and isinstance(args[0], Tensor) and args[0].dim() == 4:
        return (args[0].contiguous(memory_format=torch.channels_last), *args[1:])
    return args


def _under_autocast(
    forward: Callable[..., Any], device: str, dtype: torch.dtype
) -> Callable[..., Any]:
    def lowered(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast(device, dtype):
            return forward(*args, **kwargs)

    return lowered
