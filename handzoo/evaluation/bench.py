"""Time the evaluation itself: ``python -m handzoo.evaluation.bench``.

Makes as many hands as FreiHAND's evaluation has, evaluates them in batch, and evaluates some of
them as the official script does (a loop over samples with SciPy's Procrustes and KD-trees), in
turns, so that the ratio does not depend on how busy the machine is.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import KDTree

from handzoo.evaluation.evaluate import HandSet, evaluate_hands
from handzoo.evaluation.protocol import Protocol
from handzoo.evaluation.submission import FREIHAND_EVALUATION_SIZE


def make_hands(count: int, seed: int = 0) -> tuple[HandSet, HandSet]:
    """Point sets of a hand's size and predictions of a good model's accuracy; see the module."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(778, 3)) * [0.03, 0.05, 0.012]
    vertices = base + rng.normal(size=(count, 778, 3)) * 0.004 + [0.0, 0.0, 0.7]
    joints = vertices[:, :: 778 // 21][:, :21]
    shift = rng.normal(size=(count, 1, 3)) * 0.01
    guess = vertices + shift + rng.normal(size=vertices.shape) * 0.004
    return HandSet(joints, vertices), HandSet(guess[:, :: 778 // 21][:, :21], guess)


def plain_loop(gt: HandSet, pred: HandSet) -> dict[str, float]:
    """The official tracks one sample at a time, as a yardstick."""
    errors: dict[str, list[float]] = {
        "PA-MPJPE": [],
        "PA-MPVPE": [],
        "CS-MPJPE": [],
        "CS-MPVPE": [],
    }
    scores: list[list[float]] = []
    for index in range(len(gt)):
        row = []
        for name, true, guess in (
            ("MPJPE", gt.joints[index], pred.joints[index]),
            ("MPVPE", gt.vertices[index], pred.vertices[index]),
        ):
            aligned = _align(true, guess)
            errors[f"CS-{name}"].append(float(np.linalg.norm(true - guess, axis=1).mean()))
            errors[f"PA-{name}"].append(float(np.linalg.norm(true - aligned, axis=1).mean()))
            if name == "MPVPE":
                row += [_fscore(true, mesh, t) for mesh in (guess, aligned) for t in (0.005, 0.015)]
        scores.append(row)
    result = {name: float(np.mean(values)) * 1000 for name, values in errors.items()}
    names = ("CS-F@5", "CS-F@15", "PA-F@5", "PA-F@15")
    return result | dict(zip(names, np.mean(scores, axis=0).tolist(), strict=True))


def _align(gt: np.ndarray, pred: np.ndarray) -> np.ndarray:
    first, second = gt - gt.mean(0), pred - pred.mean(0)
    first_norm, second_norm = np.linalg.norm(first) + 1e-8, np.linalg.norm(second) + 1e-8
    rotation, scale = orthogonal_procrustes(first / first_norm, second / second_norm)
    return second / second_norm @ rotation.T * scale * first_norm + gt.mean(0)


def _fscore(gt: np.ndarray, pred: np.ndarray, threshold: float) -> float:
    precision = float((KDTree(gt).query(pred)[0] < threshold).mean())
    recall = float((KDTree(pred).query(gt)[0] < threshold).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _seconds(call: Callable[[], object]) -> tuple[float, float]:
    """Wall clock and processor seconds; the latter sum over threads."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print. -> exit status, 1 if the two evaluations disagree."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--samples", type=int, default=FREIHAND_EVALUATION_SIZE)
    parser.add_argument("--loop-samples", type=int, default=100, help="of them, in the plain loop")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, help="threads; default: all cores")
    arguments = parser.parse_args(argv)
    gt, pred = make_hands(arguments.samples)
    few_gt, few_pred = (
        HandSet(s.joints[: arguments.loop_samples], s.vertices[: arguments.loop_samples])
        for s in (gt, pred)
    )
    expected = plain_loop(few_gt, few_pred)
    found = evaluate_hands(few_gt, few_pred, Protocol(), workers=arguments.workers).metrics
    worst = max(abs(found[name] - value) for name, value in expected.items())
    batch, loop = [], []
    for _ in range(arguments.rounds):
        batch.append(
            _seconds(lambda: evaluate_hands(gt, pred, Protocol(), workers=arguments.workers))
        )
        loop.append(_seconds(lambda: plain_loop(few_gt, few_pred)))
    share = arguments.samples / len(few_gt)
    in_batch, batch_cpu = (statistics.median(column) for column in zip(*batch, strict=True))
    one_by_one, loop_cpu = (statistics.median(column) * share for column in zip(*loop, strict=True))
    print(f"{arguments.samples} samples, joints and meshes; median of {arguments.rounds} rounds")
    print(f"  in batch, all metrics       {in_batch:7.2f} s, processor {batch_cpu:7.2f} s")
    print(f"  plain loop, official tracks {one_by_one:7.2f} s, processor {loop_cpu:7.2f} s")
    ratios = f"{one_by_one / in_batch:7.1f}  , processor {loop_cpu / batch_cpu:7.1f}"
    print(f"  ratio                       {ratios}")
    print(f"  largest difference of a figure: {worst:.1e}")
    return 0 if worst < 1e-6 else 1


if __name__ == "__main__":
    raise SystemExit(main())
