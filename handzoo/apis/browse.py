"""Look at what the estimator is trained on: annotated samples after all transforms."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from handzoo.datasets import HandDataset
from handzoo.engine.config import load_config
from handzoo.engine.sampling import seed_step
from handzoo.errors import ConfigError
from handzoo.hands.camera import perspective_project
from handzoo.hands.models import build_hand_model
from handzoo.registry import DATASETS
from handzoo.resources import STAND_IN
from handzoo.structures import HandDataSample
from handzoo.visualization import draw_skeleton, overlay_mesh, tile


def mesh_faces(dataset: HandDataset) -> torch.Tensor | None:
    """Faces (1538, 3) that fit the vertices of a data set, or None if this machine lacks them.

    A rendered set has the bundled hand's mesh and a real one MANO's; their faces differ.
    """
    rendered = dataset.use.status == STAND_IN
    hand = build_hand_model("bundled" if rendered else "auto")
    return hand.faces if hand.is_stand_in == rendered else None


def draw_sample(
    packed: dict[str, Any], faces: torch.Tensor | None, meshes: bool = True
) -> list[np.ndarray]:
    """The crop, its 2D skeleton, and its mesh where that is annotated.

    Args:
        packed: what ``PackHandInputs`` returns.
        faces: of the mesh; without them its vertices are drawn as points.
        meshes: draw the mesh.

    Returns:
        Pictures (H, W, 3) uint8 RGB.
    """
    sample: HandDataSample = packed["data_samples"]
    crop = np.ascontiguousarray(packed["inputs"].permute(1, 2, 0).numpy())
    pictures = [crop]
    if sample.joints2d_valid.any():
        valid = sample.joints2d_valid.numpy()
        pictures.append(draw_skeleton(crop, sample.joints2d.numpy(), valid))
    if meshes and sample.vertices_valid and sample.K_valid and sample.root_valid:
        placed = sample.vertices + sample.root
        if faces is not None:
            pictures.append(overlay_mesh(crop, placed, faces, sample.K))
        else:
            pictures.append(_draw_points(crop, perspective_project(placed[None], sample.K[None])))
    if "view2_image" in sample:
        pictures.append(np.ascontiguousarray(sample.view2_image.permute(1, 2, 0).numpy()))
    return pictures


def _draw_points(crop: np.ndarray, points: torch.Tensor) -> np.ndarray:
    canvas = crop.copy()
    for x, y in points[0].round().int().tolist():
        cv2.circle(canvas, (x, y), 1, (255, 235, 60), -1)
    return canvas


def main(argv: Sequence[str] | None = None) -> int:
    """Draw samples to a folder and a contact sheet.

    Raises:
        ConfigError: the config has no such dataloader.
    """
    parser = argparse.ArgumentParser(prog="handzoo browse", description=__doc__)
    parser.add_argument("config", help="config file or model name")
    parser.add_argument("--split", choices=("train", "val", "test"), default="train")
    parser.add_argument("--data", help="folder of the data set, instead of the config's")
    parser.add_argument("--out", default="work_dirs/browse", help="folder for the pictures")
    parser.add_argument("--num", type=int, default=12, help="how many samples")
    parser.add_argument("--index", type=int, nargs="+", help="these samples, instead of a spread")
    parser.add_argument("--repeat", type=int, default=1, help="draws of the augmentation of each")
    parser.add_argument("--columns", type=int, default=3, help="samples in a row of the sheet")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-mesh", action="store_true", help="leave the mesh out")
    parser.add_argument("--cfg-options", nargs="+", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args(argv)
    cfg = load_config(arguments.config, arguments.cfg_options)
    loader = cfg.get(f"{arguments.split}_dataloader")
    if loader is None:
        raise ConfigError(f"{arguments.split}_dataloader: {arguments.config} has none.")
    described = dict(loader["dataset"])
    if arguments.data:
        described["data_root"] = arguments.data
    dataset = DATASETS.build(described, key=f"{arguments.split}_dataloader.dataset")
    spread = np.linspace(0, len(dataset) - 1, min(arguments.num, len(dataset))).astype(int)
    chosen = arguments.index or sorted(set(spread.tolist()))
    faces = None if arguments.no_mesh else mesh_faces(dataset)
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    rows, captions = _draw_all(dataset, chosen, arguments, faces, out)
    sheet = out / "sheet.jpg"
    cv2.imwrite(str(sheet), tile(rows, captions)[:, :, ::-1])
    print(f"{dataset.use.name} ({dataset.use.status}) from {dataset.data_root}")
    print(f"{len(chosen) * arguments.repeat} of {len(dataset)} samples drawn to {sheet}")
    return 0


def _draw_all(
    dataset: HandDataset,
    chosen: Sequence[int],
    arguments: argparse.Namespace,
    faces: torch.Tensor | None,
    out: Path,
) -> tuple[list[list[np.ndarray]], list[list[str]]]:
    rows: list[list[np.ndarray]] = []
    captions: list[list[str]] = []
    draws = [(index, repeat) for index in chosen for repeat in range(arguments.repeat)]
    for place, (index, repeat) in enumerate(draws):
        seed_step(arguments.seed + repeat, index)
        packed = dataset[index]
        pictures = draw_sample(packed, faces, meshes=not arguments.no_mesh)
        sample = packed["data_samples"]
        name = f"{sample.sample_id} {sample.get('version', '')}".strip()
        print(f"  {name}: {sample.prompt}")
        stem = f"{index:08d}" + (f"_{repeat}" if arguments.repeat > 1 else "")
        cv2.imwrite(str(out / f"{stem}.jpg"), np.hstack(pictures)[:, :, ::-1])
        if place % arguments.columns == 0:
            rows.append([])
            captions.append([])
        labels = [name, sample.get("gesture_name") or "gesture unknown", sample.get("color") or ""]
        rows[-1] += pictures
        captions[-1] += (labels + [""] * len(pictures))[: len(pictures)]
    return rows, captions
