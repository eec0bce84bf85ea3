"""Regenerate the bundled hand model: ``python tools/make_hand_model.py [--out FILE]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from handzoo.hands.generation import save_hand_asset  # noqa: E402

DEFAULT = ROOT / "handzoo" / "assets" / "hand" / "bundled_hand.npz"


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=DEFAULT, help="file to write")
    path = save_hand_asset(parser.parse_args().out)
    print(f"wrote {path} ({path.stat().st_size / 1024:.0f} KiB)")


if __name__ == "__main__":
    main()
