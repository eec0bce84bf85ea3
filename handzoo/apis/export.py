"""``handzoo export`` and ``tools/export.py``: a model as ONNX, OpenVINO or TensorRT-ready ONNX.

A file is written only after the graph in it has been run and gave what the model gives.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from handzoo.errors import ConfigError

FORMATS = ("onnx", "openvino", "tensorrt-onnx")
SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "tensorrt-onnx": ".onnx"}
# Half precision keeps 11 bits; a network of tens of layers loses a few of them.
TOLERANCES = {"fp32": 1e-4, "fp16": 2e-2}


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="handzoo export",
        description="Write a model for other runtimes, after checking that it computes the same. "
        "A JSON file beside it says what goes in and what comes out.",
    )
    parser.add_argument("model", metavar="NAME|CONFIG", help="model name or config file")
    parser.add_argument(
        "checkpoint", nargs="?", help="weights; default: the published ones, else untrained ones"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="what to write")
    parser.add_argument("--format", choices=FORMATS, default="onnx", help="default: %(default)s")
    parser.add_argument("--opset", type=int, default=17, help="of ONNX; default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--dynamic-batch", action="store_true", help="leave the batch size open")
    parser.add_argument(
        "--dtype", choices=tuple(TOLERANCES), default="fp32", help="of the weights inside"
    )
    parser.add_argument(
        "--exporter",
        choices=("torchscript", "dynamo"),
        default="torchscript",
        help="torch's exporter; default: %(default)s",
    )
    parser.add_argument("--image-size", type=int, help="side of the crop; default: the config's")
    parser.add_argument(
        "--check", action="store_true", help="write nothing: check that FILE still fits the model"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. -> exit status."""
    args = build_parser().parse_args(argv)
    from rich.console import Console

    from handzoo.engine.build import load_estimator
    from handzoo.engine.data_choice import model_input_size
    from handzoo.resources import collect_resources
    from handzoo.zoo.weights import published_weights

    console = Console()
    needs_packages(args.format)
    checkpoint = args.checkpoint or published_weights(args.model)
    with collect_resources() as report:
        estimator, cfg = load_estimator(args.model, checkpoint)
    card = {
        "model": cfg.get("model_name") or args.model,
        "checkpoint": checkpoint_card(checkpoint),
        "resources": report.rows(),
    }
    size = args.image_size or model_input_size(cfg)
    if args.check:
        differences = check_export(estimator, args.out, size)
        console.print(f"{args.out}: {_worst(differences)}")
        return 0
    card = export_model(
        estimator,
        args.out,
        format=args.format,
        opset=args.opset,
        batch_size=args.batch_size,
        dynamic_batch=args.dynamic_batch,
        dtype=args.dtype,
        exporter=args.exporter,
        image_size=size,
        card=card,
    )
    if checkpoint is None:
        console.print("[yellow]no checkpoint was given: these are untrained weights[/]")
    megabytes = card["bytes"] / 2**20
    console.print(f"written: {args.out} ({megabytes:.1f} MiB), {sidecar_path(args.out)}")
    console.print(_worst(card["verification"]["differences"]))
    return 0


def _worst(differences: dict[str, float]) -> str:
    name = max(differences, key=differences.__getitem__)
    return (
        f"equal to the model: largest difference {differences[name]:.2g} of the largest value "
        f"({name})"
    )


def needs_packages(format: str) -> None:
    """Raise unless the packages that a format needs are there.

    Raises:
        ConfigError: says what to install.
    """
    import importlib.util

    needed = ["onnx", "onnxscript", "onnxruntime"] + (["openvino"] if format == "openvino" else [])
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        extra = "export,openvino" if "openvino" in missing else "export"
        raise ConfigError(
            f"--format {format} needs {', '.join(missing)}: pip install 'handzoo[{extra}]'."
        )


def checkpoint_card(checkpoint: str | os.PathLike[str] | None) -> dict[str, str] | None:
    """Name and hash of the weights."""
    if checkpoint is None:
        return None
    from handzoo.evaluation.results import file_sha256

    return {"file": Path(checkpoint).name, "sha256": file_sha256(checkpoint)}


def sidecar_path(path: Path) -> Path:
    """Where the description of an exported file is: ``model.onnx.json``."""
    return path.with_name(path.name + ".json")


def export_model(
    estimator: Any,
    out: str | os.PathLike[str],
    *,
    format: str = "onnx",
    opset: int = 17,
    batch_size: int = 1,
    dynamic_batch: bool = False,
    dtype: str = "fp32",
    exporter: str = "torchscript",
    image_size: int = 224,
    card: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Export an estimator in its deployed form, verify it against the eager one, and write it.

    Input ``image`` (B, 3, S, S), normalised RGB; outputs as in
    :class:`~handzoo.structures.HandPrediction`, relative to the wrist as ``predict`` gives them.

    Args:
        estimator: on the CPU, with its weights; left as it is.
        out: the file; its suffix is that of the format.
        format: ``onnx``; ``openvino`` (.xml and .bin); ``tensorrt-onnx``: static shapes, and only
            operations that TensorRT has.
        opset: of ONNX; 17 or later for ``tensorrt-onnx``.
        batch_size: of the example, and of the graph unless ``dynamic_batch``.
        dynamic_batch: leave the batch size open.
        dtype: ``fp32``, or ``fp16`` for weights and arithmetic (inputs and outputs stay fp32).
        exporter: ``torchscript`` or ``dynamo``.
        image_size: S.
        card: more entries for the description.

    Returns:
        The description, as in the JSON file beside ``out``.

    Raises:
        ConfigError: the options contradict each other.
        ExportError: an operation cannot be exported (with the part that uses it), or the graph
            computes something else; nothing is written then.
    """
    from handzoo.apis.export_graph import build_graph, describe, save_graph, verify_graph

    out = Path(out)
    _check_options(out, format, opset, dynamic_batch, dtype, exporter, batch_size)
    needs_packages(format)
    estimator = estimator.eval()
    graph = build_graph(
        estimator,
        image_size=image_size,
        batch_size=batch_size,
        opset=opset,
        dynamic_batch=dynamic_batch,
        dtype=dtype,
        exporter=exporter,
        tensorrt=format == "tensorrt-onnx",
    )
    batches = [batch_size, batch_size + 1] if dynamic_batch else [batch_size]
    tolerance = TOLERANCES[dtype]
    description = {
        **(card or {}),
        "format": format,
        **describe(estimator, graph, image_size),
        "dtype": dtype,
        "opset": opset,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    with save_graph(graph, out, format) as (part, publish):
        differences = verify_graph(estimator, part, format, batches, image_size, tolerance)
        description["verification"] = {
            "differences": differences,
            "tolerance": tolerance,
            "batch_sizes": batches,
            "against": "eager float32",
        }
        description |= publish()
    _write_json(sidecar_path(out), description)
    return description


def check_export(estimator: Any, path: str | os.PathLike[str], image_size: int) -> dict[str, float]:
    """Verify a file that was exported before against a model. -> differences by output.

    Raises:
        ConfigError: the file or its description is not there, or the file was changed.
        ExportError: it computes something else.
    """
    from handzoo.apis.export_graph import verify_graph
    from handzoo.evaluation.results import file_sha256

    path = Path(path)
    sidecar = sidecar_path(path)
    for needed in (path, sidecar):
        if not needed.is_file():
            raise ConfigError(f"--check: there is no {needed}; export it first (without --check).")
    card = json.loads(sidecar.read_text())
    if file_sha256(path) != card["sha256"]:
        raise ConfigError(f"--check: {path} is not the file that {sidecar.name} describes.")
    verification = card["verification"]
    return verify_graph(
        estimator,
        path,
        card["format"],
        verification["batch_sizes"],
        image_size,
        verification["tolerance"],
    )


def _check_options(
    out: Path,
    format: str,
    opset: int,
    dynamic_batch: bool,
    dtype: str,
    exporter: str,
    batch_size: int,
) -> None:
    if format not in FORMATS:
        raise ConfigError(f"--format: {format!r} is none of {', '.join(FORMATS)}.")
    if dtype not in TOLERANCES:
        raise ConfigError(f"--dtype: {dtype!r} is none of {', '.join(TOLERANCES)}.")
    if out.suffix != SUFFIXES[format]:
        raise ConfigError(f"--out {out}: a file of --format {format} ends in {SUFFIXES[format]}.")
    if batch_size < 1:
        raise ConfigError(f"--batch-size: {batch_size} is no number of images.")
    if format == "tensorrt-onnx" and dynamic_batch:
        raise ConfigError(
            "--format tensorrt-onnx has static shapes: leave --dynamic-batch out and give "
            "--batch-size."
        )
    least = 18 if exporter == "dynamo" else 17
    if opset < least:
        raise ConfigError(
            f"--opset {opset}: {least} or later is needed with --exporter {exporter} (layer norm, "
            "attention)."
        )


def _write_json(path: Path, value: dict[str, Any]) -> None:
    from handzoo.evaluation.files import write_json

    write_json(path, value)
