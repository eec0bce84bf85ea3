"""Render a data set of hands in FreiHAND's layout; see ``--help``."""

from handzoo.synthesis.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
