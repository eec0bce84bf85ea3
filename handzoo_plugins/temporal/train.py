"""Train CausalRefiner on motions of the bundled hand, and measure it beside OneEuro.

    python -m handzoo_plugins.temporal.train --out my_refiner.safetensors

makes its own data, takes a few minutes on one CPU core, and writes the weights and, beside them,
a card (.json) with settings and figures on motions that were drawn from another seed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from handzoo.evaluation.results import file_sha256
from handzoo.hands.models import load_bundled
from handzoo.hands.topology import HandTopology, build_topology
from handzoo_plugins.temporal.causal_refiner import CausalRefiner
from handzoo_plugins.temporal.figures import measure, table
from handzoo_plugins.temporal.motions import Clip, make_clip
from handzoo_plugins.temporal.network import CausalNetwork
from handzoo_plugins.temporal.one_euro import OneEuro

HELD_OUT_SEED = 1_000_003
TUNING = {"min_cutoff": (0.3, 0.7, 1.5, 3.0), "beta": (2.0, 5.0, 10.0, 20.0)}


def make_clips(count: int, seed: int, frames: int = 96, mesh: bool = False) -> list[Clip]:
    """Clips of one seed; each has a generator of its own."""
    hand = load_bundled(flat_hand_mean=True)
    return [
        make_clip(np.random.default_rng((seed, number)), hand, frames, mesh)
        for number in range(count)
    ]


def stack(clips: Sequence[Clip]) -> dict[str, Tensor]:
    """Clips as tensors (N, T, ...)."""
    names = ("joints", "noisy_joints", "camera", "noisy_camera", "times")
    return {
        name: torch.from_numpy(np.stack([getattr(clip, name) for clip in clips])).float()
        for name in names
    }


def loss_of(network: CausalNetwork, batch: dict[str, Tensor], smooth: float = 0.3) -> Tensor:
    """L1 of joints and camera, and of the joints' acceleration, in units of about a centimetre."""
    dt = torch.diff(batch["times"], dim=1, prepend=batch["times"][:, :1])
    moved, shifted = network(batch["noisy_joints"], batch["noisy_camera"], dt)
    joints, camera = batch["noisy_joints"] + moved, batch["noisy_camera"] + shifted
    error = joints - batch["joints"]
    bend = error[:, 2:] - 2 * error[:, 1:-1] + error[:, :-2]
    distance = error.square().sum(-1).add(1e-8).sqrt().mean()
    accelerated = bend.square().sum(-1).add(1e-8).sqrt().mean()
    return 100 * (distance + smooth * accelerated) + 10 * (camera - batch["camera"]).abs().mean()


def augment(batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Turn each clip about an axis of its own: truth and prediction alike."""
    count = len(batch["joints"])
    turn, _ = torch.linalg.qr(torch.randn(count, 3, 3, generator=generator))
    turn = turn * torch.linalg.det(turn)[:, None, None]  # rotations, no reflections
    turned = dict(batch)
    for name in ("joints", "noisy_joints"):
        turned[name] = batch[name] @ turn[:, None]
    return turned


def train(
    network: CausalNetwork,
    clips: Sequence[Clip],
    steps: int,
    batch_size: int = 32,
    frames: int = 48,
    lr: float = 6e-3,
    smooth: float = 0.3,
    seed: int = 0,
) -> list[float]:
    """AdamW with one cycle, on ``frames`` in a row of each clip; returns the loss of each step."""
    data = stack(clips)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    history = []
    for _ in range(steps):
        index = torch.randint(len(clips), (batch_size,), generator=generator)
        longest = data["times"].shape[1]
        start = int(torch.randint(max(longest - frames, 0) + 1, (), generator=generator))
        part = {name: value[index, start : start + frames] for name, value in data.items()}
        batch = augment(part, generator)
        loss = loss_of(network, batch, smooth)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        scheduler.step()
        history.append(loss.item())
    return history


def tune_one_euro(clips: Sequence[Clip]) -> dict[str, float]:
    """The settings of TUNING with the least MPJPE plus acceleration error on these clips."""
    best, least = {}, float("inf")
    for min_cutoff in TUNING["min_cutoff"]:
        for beta in TUNING["beta"]:
            figures = measure(OneEuro(min_cutoff, beta), clips)
            score = figures["MPJPE (mm)"] + figures["acceleration error (mm/frame^2)"]
            if score < least:
                best, least = {"min_cutoff": min_cutoff, "beta": beta}, score
    return best


def evaluate(
    weights: Path, topology: HandTopology, clips: Sequence[Clip]
) -> dict[str, dict[str, float]]:
    """Figures of no filter, of OneEuro as it is shipped, and of the trained network."""
    return {
        "none": measure(None, clips),
        "OneEuro": measure(OneEuro(), clips),
        "CausalRefiner": measure(CausalRefiner(topology, str(weights)), clips),
    }


def write_card(
    path: Path,
    settings: dict[str, Any],
    figures: dict[str, dict[str, float]],
    parameters: int,
) -> None:
    """The card beside the weights: what they are, how they were made, what they do."""
    card = {
        "model": "temporal/CausalRefiner",
        "file": path.name,
        "sha256": file_sha256(path),
        "licence": "Apache-2.0",
        "parameters": parameters,
        "data": "synthetic motions of HandZoo's bundled hand (handzoo_plugins/temporal/motions.py)",
        "settings": settings,
        "protocol": "held-out synthetic clips, relative to the wrist, no alignment, causal",
        "metrics": figures,
        "notes": [
            "The noise is assumed, not measured on an estimator: a gain here is no promise there.",
            "It smooths; it cannot undo a steady error of the estimator.",
            "One hand, 15 to 60 frames a second.",
        ],
    }
    path.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Train, write, measure."""
    parser = argparse.ArgumentParser(
        prog="python -m handzoo_plugins.temporal.train", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--out", required=True, help="weights file, .safetensors")
    parser.add_argument("--clips", type=int, default=300, help="training clips")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--channels", type=int, default=80)
    parser.add_argument("--smooth", type=float, default=0.3, help="weight of acceleration")
    parser.add_argument("--held-out", type=int, default=40, help="clips for the figures")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tune-one-euro", action="store_true", help="print its best settings")
    arguments = parser.parse_args(argv)

    from safetensors.torch import save_file

    begin = time.perf_counter()
    clips = make_clips(arguments.clips, arguments.seed)
    print(f"{len(clips)} clips in {time.perf_counter() - begin:.0f} s")
    if arguments.tune_one_euro:
        print("OneEuro:", tune_one_euro(clips[:20]))
    begin = time.perf_counter()
    torch.manual_seed(arguments.seed)
    network = CausalNetwork(arguments.channels)
    history = train(network, clips, arguments.steps, smooth=arguments.smooth, seed=arguments.seed)
    last = np.mean(history[-50:])
    print(f"{arguments.steps} steps in {time.perf_counter() - begin:.0f} s, loss {last:.3f}")
    out = Path(arguments.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, out)
    held_out = make_clips(arguments.held_out, HELD_OUT_SEED, mesh=True)
    figures = evaluate(out, build_topology(load_bundled()), held_out)
    settings = {name: value for name, value in vars(arguments).items() if name != "out"}
    settings.pop("tune_one_euro")
    parameters = sum(parameter.numel() for parameter in network.parameters())
    write_card(out, settings, figures, parameters)
    print(table(figures))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
