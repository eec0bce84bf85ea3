"""Classes from outside the core, found by name.

The registries ask this module when a config names a class that the core does not have.
"""

from __future__ import annotations

from typing import Any


def resolve(role: str, key: str) -> Any | None:
    """Return the class that a plugin provides for ``key`` in the registry ``role``, or None."""
    return None


def provided_names(role: str) -> list[str]:
    """Names that plugins provide for the registry ``role``, without importing them."""
    return []


def describe_tried(role: str) -> str:
    """A sentence for error messages: which plugins were asked."""
    return "No plugins are installed."
