"""How many pictures a second a data pipeline makes, and what one warp saves."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from mmengine.dataset import pseudo_collate, worker_init_fn
from torch.utils.data import DataLoader

from handzoo.datasets import HandDataset
from handzoo.datasets.transforms.geometry import crop_affine, warp
from handzoo.engine.config import load_config
from handzoo.registry import DATASETS


def separate_steps(
    image: np.ndarray, center: np.ndarray, size: float, out_size: int, rotation: float, scale: float
) -> np.ndarray:
    """Crop, rotate and resize one after the other, as METRO's loader does.

    The square is cut out with a margin of its diagonal, so that turning it leaves no empty
    corners, then turned, cut to its side, and resized.
    """
    side = round(size / scale)
    wide = int(np.ceil(side * np.sqrt(2)))
    low = np.round(center - wide / 2).astype(int)
    before = np.maximum(-low, 0)
    after = np.maximum(low + wide - [image.shape[1], image.shape[0]], 0)
    padded = cv2.copyMakeBorder(
        image, before[1], after[1], before[0], after[0], cv2.BORDER_CONSTANT, value=(0, 0, 0)
    )
    x, y = low + before
    square = padded[y : y + wide, x : x + wide]
    turn = cv2.getRotationMatrix2D((wide / 2, wide / 2), -np.rad2deg(rotation), 1.0)
    turned = cv2.warpAffine(square, turn, (wide, wide))
    margin = (wide - side) // 2
    cut = turned[margin : margin + side, margin : margin + side]
    return cv2.resize(cut, (out_size, out_size), interpolation=cv2.INTER_LINEAR)


def _rate(function: Callable[[int], object], seconds: float) -> float:
    """Calls a second of this process's own time, which other programs do not disturb."""
    count, begin = 0, time.process_time()
    while time.process_time() - begin < seconds:
        function(count)
        count += 1
    return count / (time.process_time() - begin)


def measure_warp(images: list[np.ndarray], out_size: int, seconds: float) -> dict[str, float]:
    """Pictures a second of one warp, and of crop, rotation and resizing done separately."""
    rng = np.random.default_rng(0)
    draws = [(rng.uniform(-1, 1), rng.uniform(0.8, 1.3)) for _ in range(64)]

    def arguments(i: int) -> tuple[np.ndarray, np.ndarray, float, float, float]:
        image = images[i % len(images)]
        height, width = image.shape[:2]
        return image, np.array([width / 2, height / 2]), 0.8 * min(height, width), *draws[i % 64]

    def once(i: int) -> np.ndarray:
        image, center, size, rotation, scale = arguments(i)
        affine = crop_affine(center, size, out_size, rotation, scale)
        return warp(image, affine, out_size, cv2.BORDER_CONSTANT, 0)

    def steps(i: int) -> np.ndarray:
        image, center, size, rotation, scale = arguments(i)
        return separate_steps(image, center, size, out_size, rotation, scale)

    one, separate = _rate(once, seconds), _rate(steps, seconds)
    return {"one_warp": one, "separate_steps": separate, "ratio": one / separate}


def measure_loader(dataset: HandDataset, workers: int, batch: int, seconds: float) -> float:
    """Pictures a second out of a DataLoader, after its first batches."""
    loader = DataLoader(
        dataset,
        batch_size=batch,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=pseudo_collate,
        worker_init_fn=lambda worker: worker_init_fn(worker, workers, 0, 0),
    )
    count, begin, warm = 0, 0.0, max(2, 2 * workers)
    step = 0
    while True:
        for _ in loader:
            step += 1
            if step == warm:
                begin = time.perf_counter()
            elif step > warm:
                count += batch
                if time.perf_counter() - begin > seconds:
                    return count / (time.perf_counter() - begin)


def main(argv: Sequence[str] | None = None) -> int:
    """Print pictures a second of opening, single process, workers, and the warp."""
    parser = argparse.ArgumentParser(prog="handzoo benchmark-data", description=__doc__)
    parser.add_argument("config", help="config file or model name")
    parser.add_argument("--data", help="folder of the data set, instead of the config's")
    parser.add_argument("--workers", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement")
    parser.add_argument("--json", help="write the figures to this file")
    arguments = parser.parse_args(argv)
    cv2.setNumThreads(0)
    cfg = load_config(arguments.config)
    described = dict(cfg.train_dataloader.dataset)
    if arguments.data:
        described["data_root"] = arguments.data
    begin = time.perf_counter()
    dataset = DATASETS.build(described, key="train_dataloader.dataset")
    figures = {"samples": len(dataset), "open_s": time.perf_counter() - begin}
    order = np.random.default_rng(0).permutation(len(dataset)).tolist()
    figures["annotation_per_s"] = _rate(
        lambda i: dataset.get_data_info(order[i % len(order)]), arguments.seconds
    )
    figures["samples_per_s_one_process"] = _rate(
        lambda i: dataset[order[i % len(order)]], arguments.seconds
    )
    if arguments.workers > 0:
        figures[f"samples_per_s_{arguments.workers}_workers"] = measure_loader(
            dataset, arguments.workers, arguments.batch_size, arguments.seconds
        )
    images = [cv2.imread(dataset.get_data_info(i)["img_path"]) for i in order[:16]]
    out_size = int(dataset[order[0]]["inputs"].shape[-1])
    warp_figures = measure_warp(images, out_size, arguments.seconds)
    figures |= {f"warp_{name}": value for name, value in warp_figures.items()}
    print(f"{dataset.use.name} ({dataset.use.status}) from {dataset.data_root}")
    for name, value in figures.items():
        print(f"  {name:32} {value:12,.3f}" if value < 100 else f"  {name:32} {value:12,.0f}")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=1))
    return 0
