"""What a model costs: parameters, multiply-accumulates, memory, time.

Conventions, the same for every model of the zoo:

- **Parameters** are those of the inference graph: training-only branches (guidance) and losses are
not counted. - **MACs** count convolutions, matrix products and attention (both of its products); a
  fused kernel is opened first, since torch's counter sees nothing of an eval-mode
  ``nn.TransformerEncoderLayer`` or of some attention kernels. Additions, normalisations,
  activations, resampling and pooling are not counted. The papers of the field call the same number
  "FLOPs".
- **Latency** is the median of single calls, measured in turns when there are several models, so
  that what else the machine does falls on all of them alike.
"""

from __future__ import annotations

import contextlib
import gc
import random
import statistics
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from handzoo.errors import HandZooError

TRAINING_ONLY = ("guidance", "losses")
"""Children of an estimator that do not run at inference."""

MAC_CONVENTION = "convolutions, matrix products and attention; one multiply-accumulate = 1"


class ComplexityError(HandZooError):
    """A model cannot be counted, and a wrong count would look like a right one."""


def inference_parameters(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Named parameters of the inference graph; shared ones come once."""
    for name, parameter in model.named_parameters():
        if name.split(".", 1)[0] not in TRAINING_ONLY:
            yield name, parameter


def count_parameters(model: nn.Module) -> int:
    """Number of parameters of the inference graph."""
    return sum(parameter.numel() for _, parameter in inference_parameters(model))


def unreached_parameters(model: nn.Module, forward: Callable[[], Any]) -> list[str]:
    """Names of inference parameters that no output depends on.

    METRO, for example, carries 44.9 M of them: word embeddings, poolers, a classifier.

    Args:
        model: in eval mode.
        forward: calls the model and returns what it predicts.
    """
    parameters = dict(inference_parameters(model))
    before = {name: parameter.requires_grad for name, parameter in parameters.items()}
    try:
        for parameter in parameters.values():
            parameter.requires_grad_(True)
        with torch.enable_grad(), unfused():
            outputs = [t for t in output_tensors(forward()) if t.requires_grad]
        if not outputs:
            raise ComplexityError(
                "no output depends on any parameter: the model was called without gradients"
            )
        gradients = torch.autograd.grad(
            [t.sum() for t in outputs], list(parameters.values()), allow_unused=True
        )
    finally:
        for name, parameter in parameters.items():
            parameter.requires_grad_(before[name])
    return [name for name, gradient in zip(parameters, gradients, strict=True) if gradient is None]


@contextlib.contextmanager
def unfused() -> Iterator[None]:
    """Run attention as plain matrix products, so that they can be seen."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


class _MacMode(TorchDispatchMode):
    """Adds up torch's formulas for the operations that have one.

    FlopCounterMode holds the same formulas, but follows modules as well, and fails without
    gradients when a parameter is handed to a module as its input, as learned queries are.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        formula = flop_registry.get(func.overloadpacket)
        if formula is None:
            with self:  # an operation that is made of others, as seen in inference mode
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        if formula is not None:
            self.flops += formula(*args, **kwargs, out_val=result)
        return result


def count_macs(forward: Callable[[], Any]) -> int:
    """Multiply-accumulates of one call, by torch's counter with fused kernels switched off.

    Args:
        forward: calls the model once.

    Raises:
        ComplexityError: nothing was counted, as happens with compiled or exported models.
    """
    counter = _MacMode()
    with torch.no_grad(), unfused(), counter:
        forward()
    macs = counter.flops // 2
    if macs == 0:
        raise ComplexityError(
            "no multiply-accumulates were counted: a compiled, scripted or fused model hides "
            "its operations. Count the model in its eager form."
        )
    return macs


def output_tensors(value: Any) -> list[Tensor]:
    """All tensors in nested containers and dataclasses."""
    if hasattr(value, "__dataclass_fields__"):
        value = [getattr(value, name) for name in value.__dataclass_fields__]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in output_tensors(item)]
    return [value] if isinstance(value, Tensor) else []


class _MemoryMode(TorchDispatchMode):
    """Follows the storages that operations make, from their birth to their release."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = 0
        self.peak = 0
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()

    def _release(self, size: int) -> None:
        self.alive -= size

    def ignore(self, tensors: Any) -> None:
        """Weights and inputs were there before."""
        for tensor in tensors:
            self._known.add(tensor.untyped_storage())

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if not isinstance(tensor, Tensor):
                continue
            storage = tensor.untyped_storage()
            if storage in self._known:
                continue
            self._known.add(storage)
            size = storage.nbytes()
            weakref.finalize(storage, self._release, size)
            self.alive += size
            self.peak = max(self.peak, self.alive)
        return result


def peak_activation_bytes(forward: Callable[[], Any], model: nn.Module) -> int:
    """Most bytes of tensors that are alive at once during a call, weights not included.

    On CUDA the allocator's own peak; elsewhere every tensor that an operation returns is followed.
    A kernel's private work space is not seen there.
    """
    first = next(model.parameters(), None)
    if first is not None and first.is_cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        with torch.no_grad():
            forward()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    gc.collect()
    mode = _MemoryMode()
    mode.ignore([*model.parameters(), *model.buffers()])
    with torch.no_grad(), mode:
        forward()
    return mode.peak


def measure_interleaved(
    models: Mapping[str, Callable[[], Any]],
    rounds: int = 20,
    *,
    warmup: int = 3,
    seed: int = 0,
    seconds: float | None = None,
) -> dict[str, list[float]]:
    """Time several models in turns.

    Args:
        models: name -> a call of the model.
        rounds: calls of each; every round calls all models once, in a shuffled order.
        warmup: untimed calls of each at the start.
        seed: of the order.
        seconds: stop after the round in which this much time has passed, though after 3 rounds at
            the earliest.

    Returns:
        name -> seconds of each timed call.
    """
    order, random_order = list(models), random.Random(seed)
    timings: dict[str, list[float]] = {name: [] for name in models}
    with torch.inference_mode():
        for _ in range(warmup):
            for call in models.values():
                call()
        started = time.perf_counter()
        for done in range(rounds):
            if seconds is not None and done >= 3 and time.perf_counter() - started > seconds:
                break
            random_order.shuffle(order)
            for name in order:
                _synchronise()
                begin = time.perf_counter()
                models[name]()
                _synchronise()
                timings[name].append(time.perf_counter() - begin)
    return timings


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def summarise_latency(seconds: list[float], batch_size: int = 1) -> dict[str, float]:
    """Median, spread (5th and 95th percentile) in ms, and images a second at the median."""
    ordered = sorted(seconds)
    median = statistics.median(ordered)
    last = len(ordered) - 1
    return {
        "latency_ms": median * 1000,
        "latency_p05_ms": ordered[round(0.05 * last)] * 1000,
        "latency_p95_ms": ordered[round(0.95 * last)] * 1000,
        "fps": batch_size / median,
        "rounds": len(ordered),
    }
