"""Command line of ``tools/synthesize.py``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from handzoo.synthesis.generate import SynthesisConfig, synthesize


def build_parser() -> argparse.ArgumentParser:
    """Options; their defaults make a set like the one that comes with HandZoo."""
    default = SynthesisConfig(Path())
    parser = argparse.ArgumentParser(
        prog="synthesize",
        description="Render hands with full annotation in FreiHAND v2's layout.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder of the data set")
    add("--train", type=int, default=default.train, help="unique training hands")
    add("--eval", type=int, default=default.eval, help="evaluation hands")
    add("--versions", type=int, default=default.versions, help="backgrounds of a training hand")
    add("--seed", type=int, default=default.seed, help="same seed, same data set")
    add("--size", type=int, default=default.size, help="side of the pictures in pixels")
    add("--quality", type=int, default=default.quality, help="JPEG quality")
    add("--supersample", type=int, default=default.supersample, help="samples along a pixel")
    add("--subdivisions", type=int, default=default.subdivisions, help="smoothing of the mesh")
    add("--occluders", type=float, default=default.occluders, help="share of hands with things")
    add("--hand-model", choices=("bundled", "mano", "auto"), default=default.hand_model)
    add("--device", choices=("auto", "cpu", "cuda"), default=default.device)
    add("--workers", type=int, default=default.workers, help="processes (0: this one)")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    group.add_argument("--overwrite", action="store_true", help="replace what is in the folder")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status."""
    arguments = vars(build_parser().parse_args(argv))
    resume, overwrite = arguments.pop("resume"), arguments.pop("overwrite")
    start = time.perf_counter()
    out = synthesize(SynthesisConfig(**arguments), resume=resume, overwrite=overwrite)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{out}: {size / 2**20:.1f} MiB in {time.perf_counter() - start:.0f} s")
    return 0
