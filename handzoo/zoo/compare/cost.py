"""What models cost: counted and trained one by one, timed at inference in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from handzoo.evaluation import complexity
from handzoo.zoo.compare.settings import Settings

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn

    from handzoo.zoo.compare.data import BenchmarkData

DEPLOYED_DTYPES = {"cpu": "fp32", "cuda": "bf16"}
_LONGEST = 60.0  # seconds after which no further training step is timed


def inference_cost(
    label: str, estimator: nn.Module, input_size: int, settings: Settings
) -> tuple[dict[str, Any], list[str]]:
    """Parameters, MACs and peak memory by the rules of tools/benchmark.py. -> cost, notes."""
    from handzoo.evaluation.benchmark_cli import benchmark

    try:
        row = benchmark(
            [(label, estimator)],
            batch_size=settings.latency_batch_size,
            input_size=input_size,
            device=settings.device,
            latency=False,
        )[0]
    except complexity.ComplexityError as error:
        params = complexity.count_parameters(estimator) / 1e6
        return {"params_m": params}, [f"MACs and memory are not counted: {error}"]
    return {name: row[name] for name in ("params_m", "macs_g", "peak_memory_mb")}, []


def train_step_cost(
    cfg: Config, data: BenchmarkData, settings: Settings
) -> tuple[dict[str, Any], list[str]]:
    """Median time of a whole training step (losses, gradients, optimiser) on one real batch.

    Loading is not part of it. The first step is not timed. A model that cannot be trained is
    compared all the same. -> cost, notes.
    """
    if data.train is None:
        return {}, ["training time is not measured: the data have no training part"]
    if cfg.get("train_dataloader") is None or cfg.get("optim_wrapper") is None:
        return {}, ["training time is not measured: the config has no training"]
    try:
        return _time_training(cfg, data, settings), []
    except Exception as error:  # whatever it is, the model's accuracy stands
        return {}, [f"training time is not measured: {type(error).__name__}: {error}"]


def _time_training(cfg: Config, data: BenchmarkData, settings: Settings) -> dict[str, Any]:
    from mmengine.dataset import pseudo_collate
    from mmengine.optim import build_optim_wrapper

    from handzoo.engine.build import build_estimator
    from handzoo.engine.train import prepare, read_frozen_encoders
    from handzoo.registry import DATASETS

    prepared = prepare(cfg, batch_size=settings.train_batch_size)
    batch_size = prepared.train_dataloader.batch_size
    dataset = DATASETS.build(data.train_config(cfg), key="train_dataloader.dataset")
    batch = pseudo_collate([dataset[index % len(dataset)] for index in range(batch_size)])
    torch.manual_seed(settings.seed)
    model = build_estimator(prepared).to(settings.device).train()
    read_frozen_encoders(model)
    wrapper = build_optim_wrapper(model, prepared.optim_wrapper)
    cuda = torch.device(settings.device).type == "cuda"
    seconds: list[float] = []
    begin = time.monotonic()
    for step in range(settings.train_steps + 1):
        if cuda:
            torch.cuda.synchronize()
        started = time.perf_counter()
        model.train_step(batch, wrapper)
        if cuda:
            torch.cuda.synchronize()
        if step:
            seconds.append(time.perf_counter() - started)
            if time.monotonic() - begin > _LONGEST:
                break
    median = statistics.median(seconds)
    return {
        "train_ms_per_image": median / batch_size * 1000,
        "train_batch_size": batch_size,
        "train_steps_timed": len(seconds),
    }


def time_in_turns(
    models: Mapping[str, tuple[nn.Module, int]], settings: Settings
) -> dict[str, dict[str, Any]]:
    """Latency and FPS of all models, one call of each in every round, in a shuffled order.

    Args:
        models: label -> (estimator in eval mode on the device, side of its input).
        settings: rounds, batch size and device; with ``deploy`` each model is timed in its
            deployed form as well.

    Returns:
        label -> latency_ms, latency_p05_ms, latency_p95_ms, fps, rounds; with ``deploy`` also
        the same under ``deployed``, or why not under ``deploy_error``.
    """
    from handzoo.models.deploy import deploy_model

    generator = torch.Generator().manual_seed(settings.seed)
    calls: dict[str, Callable[[], Any]] = {}
    failures: dict[str, str] = {}
    for label, (estimator, size) in models.items():
        shape = (settings.latency_batch_size, 3, size, size)
        images = torch.randn(shape, generator=generator).to(settings.device)
        calls[label] = _call(estimator, images)
        if settings.deploy:
            dtype = DEPLOYED_DTYPES[images.device.type]
            try:
                deployed = deploy_model(estimator, dtype=dtype, image_size=size)
                _call(deployed, images)()
            except Exception as error:  # then the model is timed in its plain form alone
                failures[label] = f"{type(error).__name__}: {error}"
            else:
                calls[_deployed(label)] = _call(deployed, images)
    timings = complexity.measure_interleaved(calls, settings.rounds, seed=settings.seed)
    batch = settings.latency_batch_size
    found: dict[str, dict[str, Any]] = {}
    for label in models:
        found[label] = complexity.summarise_latency(timings[label], batch)
        if label in failures:
            found[label]["deploy_error"] = failures[label]
        seconds = timings.get(_deployed(label))
        if seconds is not None:
            found[label]["deployed"] = {
                **complexity.summarise_latency(seconds, batch),
                "dtype": DEPLOYED_DTYPES[torch.device(settings.device).type],
            }
    return found


def _deployed(label: str) -> str:
    return f"{label}\ndeployed"  # a line break is part of no label


def _call(estimator: nn.Module, images: torch.Tensor) -> Callable[[], Any]:
    def call() -> Any:
        return estimator(images, mode="tensor")

    return call
