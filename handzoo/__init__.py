"""HandZoo: a plugin-based model zoo for 3D hand pose and mesh from one RGB image.

Importing this package is cheap: nothing below imports torch until it is used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Public name -> module that defines it. Resolved on first use (PEP 562).
_LAZY = {
    "HandInferencer": "handzoo.apis.inferencer",
    "get_config": "handzoo.zoo",
    "get_model": "handzoo.zoo",
    "list_models": "handzoo.zoo",
}

__all__ = ["__version__", *sorted(_LAZY)]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'handzoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
