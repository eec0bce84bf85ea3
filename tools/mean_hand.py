"""The baseline that a trained model has to beat: answer the mean training hand for every image.

    python tools/mean_hand.py --out mean && python tools/evaluate.py mean/pred.json

``--frame camera`` averages the hands as the camera saw them (the best constant answer for
root-relative errors); ``--frame hand`` turns them onto each other first (a real hand's shape, and
the best constant answer after Procrustes alignment).
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from handzoo.cli import run  # noqa: E402
from handzoo.evaluation.submission import read_points, write_submission  # noqa: E402
from handzoo.resources import resolve  # noqa: E402


def onto(target: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The rotation that brings each (B, N, 3) nearest to (N, 3); both centred. -> (B, 3, 3)."""
    u, _, vt = np.linalg.svd(np.swapaxes(points, 1, 2) @ target)
    flip = np.ones((len(points), 3))
    flip[:, 2] = np.sign(np.linalg.det(u @ vt))
    return (u * flip[:, None]) @ vt


def mean_hand(joints: np.ndarray, vertices: np.ndarray, frame: str) -> tuple[np.ndarray, ...]:
    """Mean joints (21, 3) and vertices (V, 3), from the wrist."""
    points = np.concatenate((joints, vertices), 1) - joints[:, :1]
    if frame == "hand":
        points = points - points.mean(1, keepdims=True)
        mean = points[0]
        for _ in range(10):
            mean = (points @ onto(mean, points)).mean(0)
        mean = mean - mean[:1]
    else:
        mean = points.mean(0)
    return np.split(mean, [joints.shape[1]])


def main() -> int:
    """Write the submission."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="default: data/freihand, or the sample")
    parser.add_argument("--frame", choices=("camera", "hand"), default="camera")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="for pred.json and pred.zip"
    )
    args = parser.parse_args()
    root = resolve("data/freihand", path=args.data).path
    read = [read_points(root / f"training_{name}.json") for name in ("xyz", "verts")]
    mean = mean_hand(*read, args.frame)
    count = len(read_points(root / "evaluation_K.json"))
    written = write_submission(args.out, *(np.repeat(part[None], count, 0) for part in mean))
    print(f"wrote {written}: the mean of {len(read[0])} hands, {count} times")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
