"""The graph of an exported model: made, described, verified, put in its place."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from handzoo.models.deploy.onnx import (
    ExportError,
    compare_outputs,
    failing_part,
    named_tensors,
    quiet,
    run_onnx,
    write_onnx,
)
from handzoo.structures import HandPrediction

INPUT = "image"
OUTPUTS = ("camera", "joints", "vertices", "joints_from_vertices", "coarse_vertices")
MEANINGS = {
    "camera": "weak perspective (s, tx, ty): image point = s (x + tx, y + ty) in [-1, 1]",
    "joints": "21 joints, metres, relative to the wrist",
    "vertices": "mesh of 778 vertices, metres, relative to the wrist",
    "joints_from_vertices": "21 joints regressed from the mesh, metres",
    "coarse_vertices": "coarse mesh of 195 vertices, metres",
}
# What TensorRT 10's ONNX parser takes without plugins (onnx-tensorrt, docs/operators.md), of the
# operations that networks of this field are made of.
_TENSORRT = """
Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Clip Concat Constant
ConstantOfShape Conv ConvTranspose Cos CumSum Div Einsum Elu Equal Erf Exp Expand Flatten
Floor Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater
GreaterOrEqual GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization
LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul Max MaxPool Mean Min Mul
Neg Not OneHot Or PRelu Pad Pow Range Reciprocal ReduceMax ReduceMean ReduceMin ReduceProd
ReduceSum ReduceL1 ReduceL2 Relu Reshape Resize Shape Sigmoid Sign Sin Slice Softmax
Softplus Split Sqrt Squeeze Sub Sum Tan Tanh Tile TopK Transpose Trilu Unsqueeze Where Xor
"""
TENSORRT_OPS = frozenset(_TENSORRT.split())


class Reported(nn.Module):
    """An estimator with the outputs of ``predict``: image -> named tensors.

    Args:
        estimator: in eval mode.
    """

    def __init__(self, estimator: nn.Module) -> None:
        super().__init__()
        self.estimator = estimator
        self.free_origin = getattr(estimator.mesh_head, "free_origin", False)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(B, 3, S, S) -> tensors by name, those of ``OUTPUTS`` that the method has."""
        prediction: HandPrediction = self.estimator(image, mode="tensor")
        if self.free_origin:
            from handzoo.models.losses import wrist_relative

            prediction = wrist_relative(prediction)
        found = {name: getattr(prediction, name) for name in OUTPUTS}
        return {name: value for name, value in found.items() if value is not None}


def build_graph(
    estimator: nn.Module,
    *,
    image_size: int,
    batch_size: int,
    opset: int,
    dynamic_batch: bool,
    dtype: str,
    exporter: str,
    tensorrt: bool,
) -> Any:
    """The ONNX model (``onnx.ModelProto``) of an estimator's deployed form.

    Args: see :func:`handzoo.apis.export.export_model`.

    Raises:
        ExportError: names the operation and the part that it is in.
    """
    import onnx
    import onnxscript.optimizer

    _refuse_unexportable(estimator)
    # Runtimes choose convolution algorithms and layouts themselves.
    deployed = estimator.deploy(winograd=False, channels_last=False, image_size=image_size)
    image = torch.zeros(batch_size, 3, image_size, image_size)
    options: dict[str, Any] = {
        "opset": opset,
        "dynamic_batch": dynamic_batch,
        "exporter": exporter,
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            write_onnx(Reported(deployed), [image], path, input_names=[INPUT], **options)
        except ExportError as error:
            part, reason = failing_part(deployed, image, **options)
            raise ExportError(
                f"{part} cannot be exported: {reason or error}. Write it with other operations, or "
                "say so with exportable = False on its class."
            ) from error
        # Shape arithmetic that is known by now becomes constants; halves the number of nodes.
        graph = onnxscript.optimizer.optimize(onnx.load(str(path)))
    if dtype == "fp16":
        from onnxruntime.transformers.float16 import convert_float_to_float16
        from onnxruntime.transformers.onnx_model import OnnxModel

        with quiet():
            converted = OnnxModel(convert_float_to_float16(graph, keep_io_types=True))
            converted.topological_sort()  # the casts of the inputs come last otherwise
        graph = converted.model
    onnx.checker.check_model(graph)
    if tensorrt:
        _check_tensorrt(graph)
    return graph


def _refuse_unexportable(estimator: nn.Module) -> None:
    for name, part in estimator.named_children():
        if name != "guidance" and not getattr(part, "exportable", True):
            raise ExportError(
                f"{name} ({type(part).__name__}) says that it cannot be exported "
                "(exportable = False)."
            )


def _check_tensorrt(graph: Any) -> None:
    """Static shapes, known operations, no 64-bit floats."""
    import onnx

    for value in (*graph.graph.input, *graph.graph.output):
        if any(not d.HasField("dim_value") for d in value.type.tensor_type.shape.dim):
            raise ExportError(f"{value.name} has a shape that is not static, as TensorRT wants it")
    for node in graph.graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in TENSORRT_OPS:
            raise ExportError(f"TensorRT has no operation {node.op_type} (node {node.name})")
    for tensor in graph.graph.initializer:
        if tensor.data_type == onnx.TensorProto.DOUBLE:
            raise ExportError(f"{tensor.name} is in 64-bit floats, which TensorRT has not")


def describe(estimator: nn.Module, graph: Any, image_size: int) -> dict[str, Any]:
    """What goes into a graph and what comes out, for the file beside it."""
    import onnx

    import handzoo

    preprocessor = estimator.data_preprocessor

    def row(value: Any) -> dict[str, Any]:
        kind = value.type.tensor_type
        shape = [d.dim_value if d.HasField("dim_value") else d.dim_param for d in kind.shape.dim]
        dtype = onnx.TensorProto.DataType.Name(kind.elem_type).lower()
        return {"name": value.name, "shape": shape, "dtype": dtype}

    image = {
        **row(graph.graph.input[0]),
        "layout": "NCHW",
        "channels": "RGB",
        "normalisation": {
            "formula": "(pixel - mean) / std, pixels from 0 to 255",
            "mean": [round(v, 4) for v in preprocessor.mean.flatten().tolist()],
            "std": [round(v, 4) for v in preprocessor.std.flatten().tolist()],
        },
        "crop": f"square crop of a right hand, {image_size} pixels; mirror left hands",
    }
    outputs = [{**row(v), "meaning": MEANINGS.get(v.name, "")} for v in graph.graph.output]
    return {
        "inputs": [image],
        "outputs": outputs,
        "versions": {
            "handzoo": handzoo.__version__,
            "torch": torch.__version__,
            "onnx": onnx.__version__,
        },
    }


@contextlib.contextmanager
def save_graph(
    graph: Any, out: Path, format: str
) -> Iterator[tuple[Path, Callable[[], dict[str, Any]]]]:
    """Write a graph beside its destination.

    Yields:
        The temporary file, and a function that moves it to ``out`` and returns hash and size.
        Without a call of that, nothing is left behind.
    """
    from handzoo.evaluation.results import file_sha256

    folder = Path(tempfile.mkdtemp(prefix=f".{out.stem}.", dir=out.parent))
    try:
        part = folder / out.name
        if format == "openvino":
            _save_openvino(graph, part)
        else:
            import onnx

            onnx.save(graph, str(part))

        def publish() -> dict[str, Any]:
            size = sum(path.stat().st_size for path in folder.iterdir())
            digest = file_sha256(part)
            # The file that readers open goes last, so that it is never there alone.
            for path in sorted(folder.iterdir(), key=lambda path: path == part):
                os.replace(path, out.parent / path.name)
            return {"sha256": digest, "bytes": size}

        yield part, publish
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _save_openvino(graph: Any, path: Path) -> None:
    import onnx
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model.onnx"
        onnx.save(graph, str(source))
        openvino.save_model(openvino.convert_model(str(source)), str(path), compress_to_fp16=False)


def verify_graph(
    estimator: nn.Module,
    path: Path,
    format: str,
    batch_sizes: Sequence[int],
    image_size: int,
    tolerance: float,
) -> dict[str, float]:
    """Run a written graph beside the eager model on random images. -> differences by output.

    Raises:
        ExportError: they differ; names the output.
    """
    differences: dict[str, float] = {}
    reference = Reported(estimator).eval()
    for seed, batch in enumerate(batch_sizes):
        generator = torch.Generator().manual_seed(seed)
        image = torch.randn(batch, 3, image_size, image_size, generator=generator)
        with torch.no_grad():
            expected = dict(named_tensors(reference(image)))
        if format == "openvino":
            found = _run_openvino(path, image)
        else:
            found = run_onnx(path, {INPUT: image})
        for name, value in compare_outputs(expected, found, tolerance).items():
            differences[name] = max(value, differences.get(name, 0.0))
    return differences


def _run_openvino(path: Path, image: Tensor) -> dict[str, Any]:
    import openvino

    core = openvino.Core()
    threads = torch.get_num_threads()
    # Its default precision on some CPUs is bfloat16.
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    compiled = core.compile_model(str(path), "CPU", options)
    result = compiled({INPUT: image.numpy()})
    return {output.get_any_name(): result[output] for output in compiled.outputs}
