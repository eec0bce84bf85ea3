"""``python -m handzoo`` is the ``handzoo`` command."""

import sys

from handzoo.cli import main

sys.exit(main())
