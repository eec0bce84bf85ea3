"""Hands in images, folders and videos: python tools/infer.py --model NAME INPUT... --out DIR."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from handzoo.cli import tool  # noqa: E402

if __name__ == "__main__":
    tool("infer")
