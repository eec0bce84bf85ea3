"""Evaluate a submission file: python tools/evaluate.py PRED.json --data ROOT [--out DIR]."""

import sys

from handzoo.evaluation.evaluate_cli import main

if __name__ == "__main__":
    sys.exit(main())
