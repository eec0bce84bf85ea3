"""Runs the kit on classes that the tests make up, each with one thing wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from handzoo.registry import REGISTRIES
from handzoo.testing import ConformanceError, Context, conformance_checks


def registering(monkeypatch: Any, role: str) -> Callable[..., dict[str, Any]]:
    """A function that registers a class until the test ends, and returns its config."""

    def register(cls: type, **arguments: Any) -> dict[str, Any]:
        registry = REGISTRIES[role]
        registry.import_from_location()
        monkeypatch.setitem(registry._module_dict, cls.__name__, cls)
        return dict(type=cls.__name__, **arguments)

    return register


def failures(
    role: str, config: Mapping[str, Any], *names: str, context: Context | None = None
) -> dict[str, str]:
    """Name of each check that the part fails, of those named or of all -> what it says."""
    failed = {}
    for check in conformance_checks(role):
        if names and check.name not in names:
            continue
        try:
            check(config, context)
        except ConformanceError as error:
            failed[check.name] = str(error)
    return failed
