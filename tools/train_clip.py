"""Train the small CLIP that stands in for OpenAI's: ``python tools/train_clip.py [--data DIR]``."""

from __future__ import annotations

import argparse
from pathlib import Path

from handzoo.resources import ASSETS
from handzoo.zoo.clip_standin import make_stand_in


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=ASSETS / "sample", help="folder in FreiHAND's layout, prompts"
    )
    parser.add_argument("--out", type=Path, default=ASSETS / "clip", help="folder to write")
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    accuracy = make_stand_in(args.data, args.out, epochs=args.epochs, seed=args.seed)
    size = (args.out / "model.safetensors").stat().st_size / 1e6
    print(f"wrote {args.out} ({size:.1f} MB)")
    for name, value in accuracy.items():
        print(f"evaluation part: right {name} nearest among all: {100 * value:.1f} %")


if __name__ == "__main__":
    main()
