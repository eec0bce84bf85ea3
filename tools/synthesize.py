"""Render hands in FreiHAND's layout: python tools/synthesize.py --out DIR [--help]."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from handzoo.synthesis.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
