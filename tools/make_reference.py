"""Write docs/reference from the registries; --check only compares."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from handzoo.cli import run  # noqa: E402
from handzoo.zoo.reference import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(run(main))
