"""Optimiser wrappers: one that refuses steps that are not finite, and mixed precision anywhere.

MMEngine's AmpOptimWrapper insists on a GPU; :class:`HandAmpOptimWrapper` follows the model's
device and so runs bfloat16 on a CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from handzoo.errors import ConfigError
from handzoo.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class HandOptimWrapper(OptimWrapper):
    """MMEngine's wrapper that leaves out every step whose gradients are not finite.

    The check is on the gradients, after all processes have summed them, so that all of them
    decide alike. :class:`~handzoo.engine.hooks.FiniteGuardHook` counts and gives up in time.

    Args:
        **kwargs: see :class:`mmengine.optim.OptimWrapper` (``optimizer``,
            ``accumulative_counts``, ``clip_grad``).

    Attributes:
        skipped: steps left out since the start.
        skipped_in_a_row: steps left out since the last good one.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, **kwargs: Any) -> None:
        super().__init__(optimizer, **kwargs)
        self.skipped = 0
        self.skipped_in_a_row = 0

    def step(self, **kwargs: Any) -> None:
        """Clip and step, unless a gradient is NaN or infinite."""
        if self.count(self.gradients_are_finite()):
            super().step(**kwargs)

    def count(self, finite: bool) -> bool:
        """Keep count of good and bad steps; returns ``finite``."""
        self.skipped_in_a_row = 0 if finite else self.skipped_in_a_row + 1
        self.skipped += not finite
        return finite

    def gradients_are_finite(self) -> bool:
        """Whether every gradient of the optimised parameters is finite."""
        gradients = [
            parameter.grad
            for group in self.optimizer.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        if not gradients:
            return True
        norms = torch._foreach_norm(gradients, ord=float("inf"))
        device = norms[0].device
        return bool(torch.isfinite(torch.stack([norm.to(device) for norm in norms])).all())


@OPTIM_WRAPPERS.register_module()
class HandAmpOptimWrapper(HandOptimWrapper):
    """Mixed precision on whatever device the model is on.

    bfloat16 on a CPU and on GPUs that have it, else float16 with dynamic loss scaling.

    Args:
        dtype: ``'bfloat16'``, ``'float16'`` or None to choose by device.
        loss_scale: initial loss scale for float16.
        **kwargs: see :class:`HandOptimWrapper`.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        dtype: str | None = None,
        loss_scale: float = 2.0**16,
        **kwargs: Any,
    ) -> None:
        super().__init__(optimizer, **kwargs)
        if dtype not in (None, "bfloat16", "float16"):
            raise ConfigError(
                f"optim_wrapper.dtype: {dtype!r} is not 'bfloat16', 'float16' or None."
            )
        parameter = optimizer.param_groups[0]["params"][0]
        self.dtype = choose_dtype(parameter.device.type, dtype)
        self.scaler = torch.amp.GradScaler(
            parameter.device.type,
            init_scale=loss_scale,
            enabled=self.dtype is torch.float16,
        )

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Scale the loss where float16 needs it and propagate."""
        self.scaler.scale(loss).backward(**kwargs)
        self._inner_count += 1
        self._loss_is_finite = bool(torch.isfinite(loss.detach()).all())

    def step(self, **kwargs: Any) -> None:
        """Clip and step; float16 overflow is the scaler's business and counts as a good step."""
        if not self.scaler.is_enabled():
            super().step(**kwargs)
            return
        self.scaler.unscale_(self.optimizer)
        if self.clip_grad_kwargs:
            self._clip_grad()
        self.count(self._loss_is_finite)
        self.scaler.step(self.optimizer, **kwargs)
        self.scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """The optimiser's state and the loss scaler's."""
        return {**super().state_dict(), "loss_scaler": self.scaler.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore both; a state of a run without mixed precision is accepted."""
        state_dict = dict(state_dict)
        scaler_state = state_dict.pop("loss_scaler", None)
        if scaler_state and self.scaler.is_enabled():
            self.scaler.load_state_dict(scaler_state)
        super().load_state_dict(state_dict)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast on the model's device around the forward pass."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, dtype=self.dtype):
            yield


def choose_dtype(device_type: str, dtype: str | None = None) -> torch.dtype:
    """The autocast type for a device: what is asked for, else bfloat16 where it is native."""
    if dtype is not None:
        return getattr(torch, dtype)
    if device_type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.bfloat16
