"""Watch one run of a model: which layer saw what, and who used its result.

Rewriting a network needs the order in which its layers really run. The order of its attributes
does not tell (a residual block's short cut), and tracing fails on code that branches on shapes, as
a plugin's may. So the model is run once on an example, and watched.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
WATCHED = (nn.Conv2d, nn.Linear, nn.MultiheadAttention, *BATCH_NORMS)


@dataclass
class Call:
    """One call of a layer.

    Attributes:
        module: the layer.
        inputs: its first argument (kept alive, so that its identity is unique).
        output: what it returned.
        autocast: whether autocast would have lowered its precision.
    """

    module: nn.Module
    inputs: Tensor
    output: Any
    autocast: bool


@dataclass
class Observation:
    """What happened in a run.

    Attributes:
        calls: by layer, in the order of their first call.
        uses: how many operations read a layer's output, by the output's identity.
    """

    calls: dict[nn.Module, list[Call]] = field(default_factory=lambda: defaultdict(list))
    uses: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def single(self, module: nn.Module) -> Call | None:
        """The call of a layer that ran exactly once."""
        calls = self.calls.get(module, [])
        return calls[0] if len(calls) == 1 else None


class _UseCounter(TorchFunctionMode):
    """Counts the operations that make a tensor from a tensor; asking for a shape is none."""

    def __init__(self, uses: dict[int, int]) -> None:
        super().__init__()
        self.uses = uses

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if any(isinstance(leaf, Tensor) for leaf in tree_leaves(result)):
            for leaf in tree_leaves((args, kwargs)):
                if isinstance(leaf, Tensor):
                    self.uses[id(leaf)] += 1
        return result


def observe(
    model: nn.Module, run: Callable[[], Any], autocast: torch.dtype | None = None
) -> Observation:
    """Run a model and watch its layers.

    Args:
        model: in eval mode.
        run: calls it once.
        autocast: dtype of an autocast region around the run, to learn which layers opt out.
    """
    seen = Observation()
    with contextlib.ExitStack() as stack:
        for module in model.modules():
            if isinstance(module, WATCHED):
                stack.enter_context(_watching(module, seen))
        if autocast is not None:
            device = next(model.parameters()).device.type
            stack.enter_context(torch.autocast(device, autocast))
        stack.enter_context(torch.no_grad())
        stack.enter_context(_UseCounter(seen.uses))
        run()
    return seen


@contextlib.contextmanager
def _watching(module: nn.Module, seen: Observation) -> Iterator[None]:
    def hook(layer: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        inputs = args[0]
        lowered = torch.is_autocast_enabled(inputs.device.type)
        seen.calls[layer].append(Call(layer, inputs, output, lowered))
        seen.uses[id(output)] = 0  # what was counted there belonged to a tensor that is gone

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def replace_module(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put ``new`` wherever ``old`` is a child of a module of ``model``."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if child is old:
                setattr(parent, name, new)
