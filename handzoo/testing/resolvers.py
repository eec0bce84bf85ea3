"""What every resource resolver must do; see :mod:`handzoo.resources`.

A resolver is asked by the name of its resource, so the checks take ``dict(name="KIND/thing")``.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from handzoo.errors import ResourceError
from handzoo.resources import (
    MISSING,
    REAL,
    STAND_IN,
    ResourceUse,
    collect_resources,
    resolve,
)
from handzoo.testing.drivers import ConformanceError, Context, require


def _contract(role: str, config: Mapping[str, Any], context: Context) -> None:
    """It says what is used, where that is, and how to get the real thing."""
    use = resolve(config["name"])
    require(isinstance(use, ResourceUse), f"a resolver returns a ResourceUse, not {use!r}")
    require(use.name == config["name"], f"it answers for {use.name!r}: hand the name through")
    known = (REAL, STAND_IN, MISSING)
    require(use.status in known, f"status must be one of {known}, not {use.status!r}")
    require(use.how.strip(), "how is empty: nobody learns how to get the real thing")
    if use.status == MISSING:
        require(not use.where, f"it is missing, and yet at {use.where!r}")
    else:
        require(use.where, f"it is {use.status}, and where is empty")
    if use.status == STAND_IN:
        require(use.note.strip(), "note is empty: say what the stand-in is")


def _repeatable(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Asked again, it says the same, and the answer can stand in a result file."""
    first = resolve(config["name"])
    with collect_resources() as report:
        require(resolve(config["name"]) == first, "a second answer differs from the first")
    try:
        json.dumps(report.rows())
    except TypeError as error:
        raise ConformanceError(f"result files need plain text in every field: {error}") from error


def _path(role: str, config: Mapping[str, Any], context: Context) -> None:
    """A path that the config gives is looked at: an empty folder is not the resource."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            use = resolve(config["name"], Path(folder))
        except ResourceError:
            return
        except Exception as error:
            raise ConformanceError(
                "given an empty folder it fails; raise ResourceError that says what belongs there "
                f"({type(error).__name__}: {error})"
            ) from error
    raise ConformanceError(
        f"it takes an empty folder for the resource ({use.status}): look for a file that is always "
        "in it"
    )


CHECKS: tuple[Callable[[str, Mapping[str, Any], Context], None], ...] = (
    _contract,
    _repeatable,
    _path,
)
