"""Operations, bytes and time, layer by layer: python tools/roofline.py NAME|CONFIG... [--help]."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from handzoo.cli import tool  # noqa: E402

if __name__ == "__main__":
    tool("roofline")
