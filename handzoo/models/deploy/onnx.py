"""Modules as ONNX graphs, and the proof that the graph computes the same.

torch's TorchScript exporter is used by default: it writes any of the core's models in seconds, at
the opset that is asked for. ``dynamo`` is its successor, slower by a factor of ten today.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from handzoo.errors import HandZooError

OPSET = 17
EXPORTERS = ("torchscript", "dynamo")
TOLERANCE = 1e-4
PARTS = ("backbone", "neck", "query_head", "mesh_head", "prior")


class ExportError(HandZooError):
    """A model cannot be exported, or the exported one computes something else."""


class TensorModule(nn.Module):
    """A module whose arguments and results are flat lists of tensors, as ONNX wants them.

    Args:
        module: takes and returns tensors inside of dataclasses, mappings and sequences.
        example: its arguments; what is not a tensor in them stays as it is.
    """

    def __init__(self, module: nn.Module, example: Sequence[Any]) -> None:
        super().__init__()
        self.module = module
        self.example = tuple(example)
        self.names: list[str] = []

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Run it; ``names`` then has a name for every result."""
        values = iter(tensors)
        result = self.module(*_fill(self.example, values))
        named = list(named_tensors(result))
        self.names = [name for name, _ in named]
        return tuple(tensor for _, tensor in named)


def named_tensors(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """All tensors in dataclasses, mappings and sequences, named as ``heatmaps_joints``."""
    if isinstance(value, Tensor):
        yield name or "output", value
        return
    items: Iterator[tuple[Any, Any]] = iter(())
    if is_dataclass(value):
        items = ((spec.name, getattr(value, spec.name)) for spec in fields(value))
    elif isinstance(value, Mapping):
        items = iter(value.items())
    elif isinstance(value, (list, tuple)):
        items = iter(enumerate(value))
    for key, item in items:
        # A bare number is no name for a tensor of an ONNX graph.
        first = f"output_{key}" if isinstance(key, int) else str(key)
        yield from named_tensors(item, f"{name}_{key}" if name else first)


def _fill(value: Any, tensors: Iterator[Tensor]) -> Any:
    """``value`` with its tensors replaced, in the order of :func:`named_tensors`."""
    if isinstance(value, Tensor):
        return next(tensors)
    if is_dataclass(value):
        changes = {s.name: _fill(getattr(value, s.name), tensors) for s in fields(value)}
        return replace(value, **changes)
    if isinstance(value, Mapping):
        return {key: _fill(item, tensors) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_fill(item, tensors) for item in value)
    return value


def write_onnx(
    module: nn.Module,
    args: Sequence[Any],
    target: str | os.PathLike[str] | io.BytesIO,
    *,
    input_names: Sequence[str] | None = None,
    opset: int = OPSET,
    dynamic_batch: bool = False,
    exporter: str = "torchscript",
) -> list[str]:
    """Write a module as ONNX, in eval mode. -> names of its outputs.

    Args:
        module: see :class:`TensorModule`.
        args: example arguments.
        target: file or buffer.
        input_names: of the tensors in ``args``; by default their places.
        opset: of ONNX.
        dynamic_batch: leave the first axis of all inputs and outputs open.
        exporter: one of ``EXPORTERS``.

    Raises:
        ExportError: an operation has no counterpart in ONNX; names it.
    """
    flat = TensorModule(module, args).eval()
    named = list(named_tensors(tuple(args)))
    names = list(input_names or (f"input_{index}" for index, _ in enumerate(named)))
    tensors = tuple(tensor for _, tensor in named)
    with torch.no_grad():
        flat(*tensors)
    outputs = _unique(flat.names, names)
    options: dict[str, Any] = {"dynamo": exporter == "dynamo"}
    if exporter == "dynamo":
        options["external_data"] = False
        if dynamic_batch:
            batch = torch.export.Dim("batch", min=1, max=4096)
            options["dynamic_shapes"] = (tuple({0: batch} for _ in tensors),)
    elif dynamic_batch:
        options["dynamic_axes"] = {name: {0: "batch"} for name in (*names, *outputs)}
    try:
        with torch.no_grad(), quiet():
            result = torch.onnx.export(
                flat,
                tensors,
                None if exporter == "dynamo" else target,
                input_names=names,
                output_names=outputs,
                opset_version=opset,
                verbose=False,
                **options,
            )
            if exporter == "dynamo":
                _save_program(result, target)
    except Exception as error:  # torch raises dozens of kinds here
        raise ExportError(f"ONNX has nothing for {_operation(error)}") from error
    return outputs


def _save_program(program: Any, target: str | os.PathLike[str] | io.BytesIO) -> None:
    import onnx

    onnx.save(program.model_proto, target if isinstance(target, io.BytesIO) else str(target))


def _unique(outputs: Sequence[str], inputs: Sequence[str]) -> list[str]:
    return [f"{name}_out" if name in inputs else name for name in outputs]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without attention's fused fast path, and the exporters' warnings about their own future."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    levels = [logger.level for logger in loggers]
    fast_path = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)  # ONNX has no such operation
        if hasattr(torch._C, "_jit_set_onnx_log_enabled"):
            torch._C._jit_set_onnx_log_enabled(False)  # a failure would print the whole graph
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _operation(error: BaseException) -> str:
    """The operation that an exporter's message is about, else its first line."""
    text = str(error)
    found = re.search(r"'?((?:aten|prims|quantized|torchvision|mkldnn)::?\.?[\w.]+)'?", text)
    if found is None:
        found = re.search(r"(aten\.[\w.]+)", text)
    first = text.strip().splitlines()[0][:200] if text.strip() else ""
    return f"operation {found[1]}" if found else f"{type(error).__name__}: {first}"


def failing_part(model: nn.Module, image: Tensor, **options: Any) -> tuple[str, str]:
    """Which part of an estimator cannot be exported, and why.

    Each is exported alone, with the arguments that it gets in a run.

    Returns:
        (``mesh_head (MyHead)``, reason); (``model``, '') when each part passes alone.
    """
    for name, part, args in part_calls(model, image):
        try:
            write_onnx(part, args, io.BytesIO(), **options)
        except ExportError as error:
            return f"{name} ({type(part).__name__})", str(error)
    return "model", ""


def part_calls(model: nn.Module, image: Tensor) -> list[tuple[str, nn.Module, tuple[Any, ...]]]:
    """(name, part, arguments) of the parts that one run calls."""
    calls: list[tuple[str, nn.Module, tuple[Any, ...]]] = []
    handles = []
    for name in PARTS:
        part = getattr(model, name, None)
        if isinstance(part, nn.Module):

            def hook(module: nn.Module, args: tuple[Any, ...], name: str = name) -> None:
                calls.append((name, module, args))

            handles.append(part.register_forward_pre_hook(hook))
    try:
        with torch.no_grad():
            model(image, mode="tensor")
    finally:
        for handle in handles:
            handle.remove()
    return calls


def run_onnx(
    source: str | os.PathLike[str] | bytes, inputs: Mapping[str, Tensor]
) -> dict[str, np.ndarray]:
    """Run a graph with onnxruntime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    data = source if isinstance(source, bytes) else str(Path(source))
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    read = {value.name for value in session.get_inputs()}  # those that no output needs are gone
    feeds = {name: inputs[name].detach().cpu().numpy() for name in inputs if name in read}
    found = session.run(None, feeds)
    return dict(zip((output.name for output in session.get_outputs()), found, strict=True))


def compare_outputs(
    expected: Mapping[str, Tensor], found: Mapping[str, np.ndarray], tolerance: float = TOLERANCE
) -> dict[str, float]:
    """Largest difference of each output, relative to its largest value.

    Raises:
        ExportError: one is above the tolerance, absent, or of another shape; names it.
    """
    differences = {}
    for name, value in expected.items():
        want = value.detach().cpu().double().numpy()
        if name not in found or found[name].shape != want.shape:
            shape = found[name].shape if name in found else None
            raise ExportError(f"output {name} has shape {shape} instead of {want.shape}")
        scale = max(float(np.abs(want).max()), 1e-6)
        differences[name] = float(np.abs(found[name] - want).max()) / scale
        if not differences[name] <= tolerance:  # NaN is caught too
            raise ExportError(
                f"output {name} differs from the model by {differences[name]:.3g} of its largest "
                f"value, and {tolerance:g} is allowed"
            )
    return differences
