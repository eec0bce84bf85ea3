"""Write the models' tables of configs/*/README.md from the metafiles; --check only compares."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from handzoo.cli import run  # noqa: E402
from handzoo.zoo.readme import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(run(main))
