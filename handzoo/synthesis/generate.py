"""Making a data set: every hand depends on (seed, split, number) alone, so work can be shared out.

Workers take hands in any order, a run that was stopped goes on where it was, and the same seed
gives the same files whatever the number of workers.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from handzoo.errors import DataError
from handzoo.synthesis.writer import FreiHandWriter, Record, write_json

SPLITS = ("training", "evaluation")
DESCRIPTION = "synthesis.json"
#: A hand of which less than this can be seen is drawn again.
MIN_VISIBLE = 0.62
ATTEMPTS = 12


@dataclass(frozen=True)
class SynthesisConfig:
    """What to make.

    Attributes:
        out: folder of the data set.
        train, eval: unique hands of the two splits (each training hand gives ``versions``
            pictures, an evaluation hand gives one, as in FreiHAND).
        seed: makes the data set; everything else being equal, equal seeds give equal files.
        size: side of the pictures in pixels.
        supersample: fragments along a pixel's side.
        subdivisions: midpoint steps between the 778 vertices and the drawn surface.
        quality: JPEG quality.
        occluders: share of the hands without gesture that hold or meet a thing.
        hand_model: 'bundled', 'mano' or 'auto'.
        device: 'auto', 'cpu' or 'cuda'.
        workers: processes; 0 works in this one.
    """

    out: Path
    train: int = 200
    eval: int = 100
    versions: int = 4
    seed: int = 0
    size: int = 224
    supersample: int = 3
    subdivisions: int = 1
    quality: int = 88
    occluders: float = 0.25
    hand_model: str = "bundled"
    device: str = "auto"
    workers: int = 0

    def identity(self) -> dict:
        """What decides about the files' content; a resumed run must agree with it."""
        values = asdict(self)
        for name in ("out", "device", "workers"):
            del values[name]
        return values


@dataclass
class Studio:
    """A renderer and what it needs, made once in each process."""

    config: SynthesisConfig
    renderer: object = field(init=False)

    def __post_init__(self) -> None:
        import torch

        from handzoo.hands.models import build_hand_model
        from handzoo.synthesis.render import HandRenderer

        device = self.config.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.renderer = HandRenderer(
            build_hand_model(self.config.hand_model),
            device=device,
            supersample=self.config.supersample,
            subdivisions=self.config.subdivisions,
        )

    def make(self, split: str, index: int) -> tuple[list[np.ndarray], np.ndarray, Record]:
        """Pictures (H, W, 3) uint8 of all versions, mask (H, W) uint8 and annotation of a hand."""
        from handzoo.datasets.prompts import final_prompt
        from handzoo.synthesis.compose import compose_scene
        from handzoo.synthesis.poses import NAMED_GESTURES, NO_GESTURE
        from handzoo.synthesis.render import HAND
        from handzoo.synthesis.scene import sample_scene

        config = self.config
        # Gestures in turn on every second hand, so that any number of hands covers them evenly.
        gesture = NO_GESTURE if index % 2 else NAMED_GESTURES[index // 2 % len(NAMED_GESTURES)]
        versions = config.versions if split == "training" else 1
        for attempt in range(ATTEMPTS):
            rng = np.random.default_rng([config.seed, SPLITS.index(split), index, attempt])
            scene = sample_scene(
                self.renderer.model,
                self.renderer.surface,
                split,
                gesture,
                config.size,
                versions,
                rng,
                config.occluders,
            )
            wanted = MIN_VISIBLE if attempt < ATTEMPTS - 1 else 0.0
            buffer = self.renderer.rasterize(scene.body, wanted)
            if buffer is not None:
                break
        pictures = compose_scene(self.renderer, scene, buffer)
        mask = np.clip(buffer.coverage(HAND) * 255 + 0.5, 0, 255).astype(np.uint8)
        colors = [version.background for version in scene.versions]
        record = Record.of(
            scene.body.pose,
            scene.body.shape,
            buffer.joints,
            buffer.vertices,
            scene.body.K,
            {
                "gesture": gesture,
                "colors": colors,
                "prompts": [final_prompt(color, gesture) for color in colors],
                "occluded": scene.body.occluder is not None,
            },
        )
        return pictures, mask, record


def _writers(config: SynthesisConfig) -> dict[str, FreiHandWriter]:
    counts = {"training": config.train, "evaluation": config.eval}
    return {
        split: FreiHandWriter(config.out, split, counts[split], config.quality) for split in SPLITS
    }


@lru_cache(maxsize=1)
def _studio(config: SynthesisConfig) -> Studio:
    """The studio of this process: workers are called with tasks only, and keep it."""
    return Studio(config)


def _start_worker() -> None:
    import torch

    # As many processes as asked for, not as many threads in each.
    torch.set_num_threads(1)


def _work(config: SynthesisConfig, task: tuple[str, int]) -> tuple[str, int]:
    split, index = task
    _writers(config)[split].write(index, *_studio(config).make(split, index))
    return task


@contextmanager
def _results(config: SynthesisConfig, tasks: list[tuple[str, int]]) -> Iterator[Iterator]:
    work = partial(_work, config)
    if config.workers > 1 and len(tasks) > 1:
        context = multiprocessing.get_context("spawn")
        with context.Pool(config.workers, _start_worker) as pool:
            yield pool.imap_unordered(work, tasks)
    else:
        import torch

        # Threads add up sums in another order, which would make files depend on their number.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield map(work, tasks)
        finally:
            torch.set_num_threads(threads)


def _describe(config: SynthesisConfig) -> dict:
    from handzoo import __version__
    from handzoo.hands.models import build_hand_model

    model = build_hand_model(config.hand_model)
    digest = hashlib.sha256(model.v_template.cpu().numpy().tobytes())
    digest.update(model.hands_mean.cpu().numpy().tobytes())
    return {
        "what": "hands rendered by HandZoo (tools/synthesize.py) in FreiHAND v2's layout",
        "handzoo": __version__,
        "hand_model": model.name,
        "hand_model_sha256": digest.hexdigest(),
        **config.identity(),
    }


def synthesize(config: SynthesisConfig, resume: bool = False, overwrite: bool = False) -> Path:
    """Makes the data set and returns its folder.

    Args:
        config: what to make.
        resume: go on with an interrupted run of the same config.
        overwrite: remove what a former run left in the folder.

    Raises:
        DataError: the folder has other contents, and neither flag says what to do with them, or
            it was begun with another config.
    """
    out, description = Path(config.out), _describe(config)
    kept = out / DESCRIPTION
    if overwrite and kept.exists():
        # Only folders that this function made are removed.
        shutil.rmtree(out)
    if out.exists() and any(out.iterdir()):
        if not resume:
            raise DataError(
                f"{out} is not empty. Pass --resume to go on with an interrupted run, --overwrite "
                f"to replace a data set that was made here, or another --out."
            )
        before = json.loads(kept.read_text()) if kept.exists() else {}
        differing = [name for name in description if before.get(name) != description[name]]
        if differing:
            raise DataError(
                f"{out} was begun with other settings ({', '.join(differing)}); resume with the "
                "same ones, or pass --overwrite."
            )
    write_json(kept, description, indent=1)
    writers = _writers(config)
    if not (out / ".records").exists() and _complete(config):
        return out
    tasks = [
        (split, index)
        for split, writer in writers.items()
        for index in range(writer.count)
        if not writer.done(index)
    ]
    _run(config, tasks)
    for writer in writers.values():
        if writer.count:
            writer.finish()
    shutil.rmtree(out / ".records", ignore_errors=True)
    return out


def _complete(config: SynthesisConfig) -> bool:
    counts = {"training": config.train, "evaluation": config.eval}
    wanted = [split for split in SPLITS if counts[split]]
    return all((Path(config.out) / f"{split}_meta.json").exists() for split in wanted)


def _run(config: SynthesisConfig, tasks: list[tuple[str, int]]) -> None:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress, _results(config, tasks) as results:
        bar = progress.add_task("hands", total=len(tasks))
        for _ in results:
            progress.advance(bar)
