"""Parameters, MACs, memory, latency and FPS of models, side by side."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handzoo.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

DESCRIPTION = """Count and time models at inference.

Parameters and MACs are those of the inference graph (training-only branches dropped); MACs count
convolutions, matrix products and attention. Latencies of several models are measured in turns."""


# What a deployment does, one after the other, ends with the whole of it.
STEPS = (
    ("rewritten, folded", {"winograd": False, "channels_last": False, "compile": False}),
    ("+ channels-last", {"winograd": False, "compile": False}),
)


def build_parser() -> argparse.ArgumentParser:
    """Arguments of tools/benchmark.py."""
    parser = argparse.ArgumentParser(
        prog="benchmark",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("models", nargs="+", metavar="CONFIG", help="model name or config file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a list, one entry a model")
    parser.add_argument("--batch-size", type=int, default=1, help="default: %(default)s")
    parser.add_argument(
        "--input-size", type=int, metavar="S", help="default: the crop of each model's config"
    )
    parser.add_argument(
        "--device", default="cpu", help="cpu, cuda, cuda:1, ...; default: %(default)s"
    )
    parser.add_argument("--threads", type=int, help="CPU threads of torch; default: torch's choice")
    parser.add_argument("--rounds", type=int, default=20, help="timed calls; default: %(default)s")
    parser.add_argument("--no-latency", action="store_true", help="count only")
    parser.add_argument(
        "--deploy",
        action="store_true",
        help="also time each model deployed (batch norms folded, faster convolutions, ...), in the "
        "same rounds, and print how many times as fast it is as each model in its eager form",
    )
    parser.add_argument(
        "--dtype",
        choices=("fp32", "bf16", "fp16"),
        default="fp32",
        help="of the deployed models; eager ones stay fp32; default: %(default)s",
    )
    parser.add_argument("--compile", action="store_true", help="torch.compile the deployed models")
    parser.add_argument(
        "--steps", action="store_true", help="with --deploy: also after each step of it"
    )
    parser.add_argument(
        "--live", action="store_true", help="also count parameters that no output depends on"
    )
    return parser


def benchmark(
    models: Sequence[Any],
    *,
    batch_size: int = 1,
    input_size: int | None = None,
    device: str = "cpu",
    rounds: int = 20,
    latency: bool = True,
    live: bool = False,
    deploy: Mapping[str, Any] | None = None,
    steps: bool = False,
) -> list[dict[str, Any]]:
    """Count and time estimators.

    Args:
        models: names or config files, or (name, estimator) pairs of models that are built already.
        batch_size: images a call; MACs are given for one image.
        input_size: side of the square input; by default that of the model's config, and 224 for a
            model that is built already.
        device: where to run.
        rounds: timed calls of each model.
        latency: False counts only; ``latency_ms`` and ``fps`` are then None.
        live: also give ``params_unreached_m``.
        deploy: options of :func:`handzoo.models.deploy.deploy_model`: each model is followed by a
            row ``NAME (deployed)`` with ``speedup``, how many times as fast it is as each eager
            model. MACs of that row are those of the algorithm that runs.
        steps: also measure what ``STEPS`` names, forms that went through part of a deployment.

    Returns:
        One row a model: name, params_m, macs_g, latency_ms, fps, peak_memory_mb, and how it was
            measured.
    """
    import torch

    from handzoo.evaluation import complexity

    if not models:
        raise ConfigError("nothing to benchmark: name at least one model or config")
    rows: list[dict[str, Any]] = []
    calls: dict[str, Callable[[], Any]] = {}
    for name, form, estimator, size in _forms(models, device, input_size, deploy, steps):
        image = torch.randn(1, 3, size, size, device=device)
        batch = torch.randn(batch_size, 3, size, size, device=device)

        def call(estimator=estimator, images=batch) -> Any:
            return estimator(images, mode="tensor")

        def single(estimator=estimator, images=image) -> Any:
            return estimator(images, mode="tensor")

        while name in calls:
            name += "'"
        calls[name] = call
        if form == "eager":  # a deployed model keeps transformed weights, of another number
            parameters = complexity.count_parameters(estimator)
        compiled = form == "deployed" and (deploy or {}).get("compile", False)
        row = {
            "name": name,
            "form": form,
            "params_m": parameters / 1e6,
            # A compiled model hides its operations.
            "macs_g": None if compiled else complexity.count_macs(single) / 1e9,
            "latency_ms": None,
            "fps": None,
            "peak_memory_mb": None
            if compiled
            else complexity.peak_activation_bytes(call, estimator) / 2**20,
            "batch_size": batch_size,
            "input_size": size,
            "device": _device_name(device),
            "threads": torch.get_num_threads(),
            "mac_convention": complexity.MAC_CONVENTION,
        }
        if live:
            sizes = {n: p.numel() for n, p in complexity.inference_parameters(estimator)}
            unreached = complexity.unreached_parameters(estimator, single)
            row["params_unreached_m"] = sum(sizes[n] for n in unreached) / 1e6
        rows.append(row)
    if latency:
        timings = complexity.measure_interleaved(calls, rounds)
        for row in rows:
            row |= complexity.summarise_latency(timings[row["name"]], batch_size)
        for row in rows:
            if row["form"] == "deployed":
                row["speedup"] = {
                    other["name"]: other["latency_ms"] / row["latency_ms"]
                    for other in rows
                    if other["form"] == "eager"
                }
    return rows


def _forms(
    models: Sequence[Any],
    device: str,
    input_size: int | None,
    deploy: Mapping[str, Any] | None,
    steps: bool,
) -> Iterator[tuple[str, str, Any, int]]:
    """(name, 'eager' or 'deployed', estimator, input size) of all that is to be measured."""
    from handzoo.engine.data_choice import DEFAULT_INPUT_SIZE

    for item in models:
        built = isinstance(item, tuple)
        name, estimator, size = (*item, DEFAULT_INPUT_SIZE) if built else _load(item, device)
        size = input_size or size
        estimator = estimator.to(device).eval()
        yield name, "eager", estimator, size
        if deploy is None:
            continue
        for step, options in STEPS if steps else ():
            partly = estimator.deploy(image_size=size, **{**deploy, **options})
            yield f"{name} ({step})", "deployed", partly, size
        deployed = estimator.deploy(image_size=size, **deploy)
        yield f"{name} (deployed)", "deployed", deployed, size


def _load(model: str, device: str) -> tuple[str, Any, int]:
    from handzoo.engine.build import load_estimator
    from handzoo.engine.data_choice import model_input_size

    estimator, cfg = load_estimator(model, checkpoint=None, device=device)
    return cfg.get("model_name") or Path(model).stem, estimator, model_input_size(cfg)


def _device_name(device: str) -> str:
    import torch

    from handzoo.evaluation.results import environment

    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(torch.device(device))
    return environment()["processor"]


def benchmark_table(rows: Sequence[dict[str, Any]]) -> Table:
    """The rows as a table for the terminal."""
    from rich.table import Table

    first = rows[0]
    title = f"{first['device']}, batch {first['batch_size']}, {first['threads']} threads"
    table = Table(title=title, title_justify="left", caption=f"MACs: {first['mac_convention']}")
    table.add_column("model", no_wrap=True)
    columns = [
        ("params M", "params_m", 2),
        ("MACs G", "macs_g", 2),
        ("ms", "latency_ms", 1),
        ("FPS", "fps", 1),
        ("peak MiB", "peak_memory_mb", 1),
    ]
    if any("params_unreached_m" in row for row in rows):
        columns.insert(1, ("unused M", "params_unreached_m", 2))
    for heading, _, _ in columns:
        table.add_column(heading, justify="right")
    for row in rows:
        values = [(row.get(key), digits) for _, key, digits in columns]
        table.add_row(row["name"], *("-" if v is None else f"{v:.{d}f}" for v, d in values))
    return table


def speedup_table(rows: Sequence[dict[str, Any]]) -> Table:
    """How many times as fast each deployed model is as each model in its eager form."""
    from rich.table import Table

    deployed = [row for row in rows if row.get("speedup")]
    table = Table(title="times as fast as, in eager form", title_justify="left")
    table.add_column("deployed", no_wrap=True)
    for name in deployed[0]["speedup"]:
        table.add_column(name, justify="right")
    for row in deployed:
        table.add_row(row["name"], *(f"{value:.2f}" for value in row["speedup"].values()))
    return table


def _deploy_options(arguments: argparse.Namespace) -> dict[str, Any] | None:
    if not arguments.deploy:
        if arguments.compile or arguments.steps or arguments.dtype != "fp32":
            raise ConfigError(
                "--dtype, --compile and --steps are for deployed models: add --deploy."
            )
        return None
    return {"dtype": arguments.dtype, "compile": arguments.compile}


def main(argv: Sequence[str] | None = None) -> int:
    """Run tools/benchmark.py. -> exit status."""
    arguments = build_parser().parse_args(argv)
    import torch
    from rich.console import Console

    from handzoo.evaluation.files import write_json
    from handzoo.resources import collect_resources

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if torch.device(arguments.device).type == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: torch sees no CUDA device here; use --device cpu")
    with collect_resources():
        rows = benchmark(
            arguments.models,
            batch_size=arguments.batch_size,
            input_size=arguments.input_size,
            device=arguments.device,
            rounds=arguments.rounds,
            latency=not arguments.no_latency,
            live=arguments.live,
            deploy=_deploy_options(arguments),
            steps=arguments.steps,
        )
    console = Console()
    console.print(benchmark_table(rows))
    if any(row.get("speedup") for row in rows):
        console.print(speedup_table(rows))
    if arguments.json:
        console.print(f"written: {write_json(arguments.json, rows)}")
    return 0
