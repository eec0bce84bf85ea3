"""The manifest: what a plugin says of itself, in TOML, read without running its code.

.. code-block:: toml

    manifest = 1                      # version of this format
    name = "my_head"                  # what stands before the slash in 'my_head/MyHead'
    handzoo = ">=0.1,<0.2"            # the versions of HandZoo that it fits
    licence = "Apache-2.0"
    configs = "configs"               # folder beside this file, if it brings configs
    metafile = "configs/metafile.yml" # model index, if it brings models

    [[provides]]
    part = "mesh_head"                # name of a registry
    name = "MyHead"                   # what configs write
    object = "my_head.head:MyHead"    # module:attribute
"""

from __future__ import annotations

import functools
import operator
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handzoo.errors import PluginError, suggest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MANIFEST_NAME = "handzoo.toml"
MANIFEST_VERSION = 1

# Names of the registries, in handzoo.registry's order. They are repeated here since that module
# imports MMEngine, and reading a manifest must cost next to nothing.
PARTS = (
    "estimator",
    "backbone",
    "neck",
    "query_head",
    "mesh_head",
    "prior",
    "guidance",
    "text_encoder",
    "loss",
    "hand_model",
    "prediction_filter",
    "converter",
    "resource_resolver",
    "dataset",
    "transform",
    "metric",
    "hook",
    "visualizer",
    "vis_backend",
    "loop",
    "optim_wrapper",
    "log_processor",
)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_OBJECT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_FIELDS = {
    "manifest": int,
    "name": str,
    "version": str,
    "handzoo": str,
    "licence": str,
    "description": str,
    "configs": str,
    "metafile": str,
    "provides": list,
}
_REQUIRED = ("manifest", "name", "handzoo", "licence")


@dataclass(frozen=True)
class Provided:
    """One class of a plugin: the registry, the name in configs, and ``module:attribute``."""

    part: str
    name: str
    object: str


@dataclass(frozen=True)
class Manifest:
    """A manifest that has been read and checked.

    Attributes:
        path: the TOML file.
        name: the plugin's name.
        requires: version specifier of HandZoo.
        licence: SPDX identifier.
        provides: its classes.
        version: the plugin's own version; empty to take its distribution's.
        description: one line.
        configs: folder of configs, or None.
        metafile: model index file, or None.
    """

    path: Path
    name: str
    requires: str
    licence: str
    provides: tuple[Provided, ...] = ()
    version: str = ""
    description: str = ""
    configs: Path | None = None
    metafile: Path | None = None

    def fits(self, version: str) -> bool:
        """Whether this version of HandZoo is in the range that the plugin declares."""
        known = _plain_bounds(self.requires)
        release = _plain_release(version)
        if known is not None and release is not None:
            return all(_COMPARE[sign](*_padded(release, bound)) for sign, bound in known)
        from packaging.specifiers import SpecifierSet

        return SpecifierSet(self.requires).contains(version, prereleases=True)


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        PluginError: the file cannot be read or says something that is not understood; names the
            file, the key and what is allowed.
    """
    try:
        with open(path, encoding="utf-8") as file:
            data = tomllib.loads(file.read())
    except OSError as error:
        raise PluginError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PluginError(f"{path}: not valid TOML: {error}") from error
    return parse_manifest(data, path)


def parse_manifest(data: Mapping[str, Any], path: Path) -> Manifest:
    """Check the content of a manifest; ``path`` says where its folders are.

    Raises:
        PluginError: as :func:`read_manifest`.
    """
    version = data.get("manifest")
    if version != MANIFEST_VERSION:
        raise PluginError(
            f"{path}: manifest = {version!r}, and this HandZoo reads manifest = {MANIFEST_VERSION}."
        )
    for key, value in data.items():
        if key not in _FIELDS:
            raise PluginError(
                f"{path}: unknown key {key!r}. {suggest(key, _FIELDS)} "
                f"Allowed: {', '.join(_FIELDS)}."
            )
        if not isinstance(value, _FIELDS[key]):
            raise PluginError(f"{path}: {key} must be a {_FIELDS[key].__name__}, not {value!r}.")
    for key in _REQUIRED:
        if key not in data:
            raise PluginError(f"{path}: the key {key!r} is missing.")
    name = data["name"]
    if not _NAME.fullmatch(name) or name == "handzoo":
        raise PluginError(f"{path}: name = {name!r} must be an identifier other than 'handzoo'.")
    _check_specifier(data["handzoo"], path)
    provides = tuple(
        _parse_provided(entry, path, index) for index, entry in enumerate(data.get("provides", []))
    )
    keys = [(entry.part, entry.name) for entry in provides]
    if len(set(keys)) < len(keys):
        part, provided = next(key for key in keys if keys.count(key) > 1)
        raise PluginError(f"{path}: provides the {part} {provided!r} twice.")
    return Manifest(
        path=path,
        name=name,
        requires=data["handzoo"],
        licence=data["licence"],
        provides=provides,
        version=data.get("version", ""),
        description=data.get("description", ""),
        configs=_beside(path, data.get("configs"), "configs"),
        metafile=_beside(path, data.get("metafile"), "metafile"),
    )


# Ranges such as ">=0.1,<0.2" are understood here, since `packaging` takes longer to import than
# all manifests to read; anything else is left to it.
_COMPARE = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}
_BOUND = re.compile(r"\s*(>=|<=|>|<)\s*(\d+(?:\.\d+)*)\s*")


@functools.lru_cache(maxsize=64)  # most plugins say the same range
def _plain_bounds(text: str) -> list[tuple[str, tuple[int, ...]]] | None:
    """``>=0.1,<0.2`` as signs and numbers; None for what is not that plain."""
    bounds = [_BOUND.fullmatch(part) for part in text.split(",")]
    if not all(bounds):
        return None
    return [(bound[1], _plain_release(bound[2])) for bound in bounds]


def _plain_release(text: str) -> tuple[int, ...] | None:
    """``0.1.0`` as numbers; None for a version with anything else in it."""
    parts = text.split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else None


def _padded(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Both with zeros up to the same length: 0.1 is 0.1.0."""
    length = max(len(first), len(second))
    return tuple(numbers + (0,) * (length - len(numbers)) for numbers in (first, second))


def _check_specifier(text: str, path: Path) -> None:
    if _plain_bounds(text) is not None:
        return
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(text)
    except InvalidSpecifier as error:
        raise PluginError(
            f"{path}: handzoo = {text!r} is no version range; write one like '>=0.1,<0.2'."
        ) from error


def _parse_provided(entry: Any, path: Path, index: int) -> Provided:
    where = f"{path}: provides[{index}]"
    if not isinstance(entry, Mapping) or set(entry) != {"part", "name", "object"}:
        raise PluginError(f"{where} needs exactly the keys part, name and object; got {entry!r}.")
    part, name, target = entry["part"], entry["name"], entry["object"]
    if part not in PARTS:
        raise PluginError(
            f"{where}.part: no part is called {part!r}. {suggest(str(part), PARTS)} "
            f"There are: {', '.join(PARTS)}."
        )
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PluginError(f"{where}.name: {name!r} is not an identifier.")
    if not isinstance(target, str) or not _OBJECT.fullmatch(target):
        raise PluginError(f"{where}.object: {target!r} is not of the form 'package.module:Class'.")
    return Provided(part, name, target)


def _beside(path: Path, relative: str | None, key: str) -> Path | None:
    if relative is None:
        return None
    found = os.path.join(os.path.dirname(path), relative)
    if not os.path.exists(found):
        raise PluginError(f"{path}: {key} = {relative!r}, and {found} does not exist.")
    return Path(found)
