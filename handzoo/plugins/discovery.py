"""Where plugins are looked for. Nothing of theirs is imported here.

In this order, and the first plugin of a name wins: sources that a run names (config, --plugin,
HANDZOO_PLUGINS), installed distributions with the entry point, the namespace ``handzoo_plugins``.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

from handzoo.errors import PluginError
from handzoo.plugins.manifest import MANIFEST_NAME, read_manifest
from handzoo.plugins.state import Plugin

ENTRY_POINT_GROUP = "handzoo.plugins"
NAMESPACE = "handzoo_plugins"


def split_list(value: str) -> list[str]:
    """Split an environment variable at commas and at the platform's path separator."""
    parts = value.replace(os.pathsep, ",").split(",")
    return [part.strip() for part in parts if part.strip()]


def installed_plugins() -> Iterator[Plugin]:
    """Plugins of installed distributions, from their entry points' manifests."""
    for entry_point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        distribution, version = _name_and_version(entry_point.dist)
        plugin = Plugin(
            name=entry_point.name,
            origin=f"{distribution} {version}" if distribution else entry_point.value,
            distribution=distribution,
            version=version,
        )
        try:
            module, _, filename = entry_point.value.partition(":")
            if not filename:
                raise PluginError(
                    f"the entry point {entry_point.name} = {entry_point.value!r} must name a "
                    f"manifest, like 'my_head:{MANIFEST_NAME}'"
                )
            folder = _installed_folder(entry_point.dist, module, filename)
            if folder is None:
                raise PluginError(f"the package {module!r} of its entry point is not installed")
            _take_manifest(plugin, folder / filename)
        except Exception as error:  # a broken plugin must not touch anything else
            plugin.fail(error, "reading its manifest")
        yield plugin


def _name_and_version(dist: importlib.metadata.Distribution | None) -> tuple[str, str]:
    """Name and version of a distribution.

    Its properties ``name`` and ``version`` parse the whole metadata as an e-mail each time they
    are read, which for many plugins takes longer than all the rest of finding them.
    """
    if dist is None:
        return "", ""
    found: dict[str, str] = {}
    for line in (dist.read_text("METADATA") or "").splitlines():
        key, colon, value = line.partition(":")
        if not colon or len(found) == 2:
            break  # the header has ended
        if key.lower() in ("name", "version"):
            found[key.lower()] = value.strip()
    if len(found) == 2:
        return found["name"], found["version"]
    return dist.name, dist.version


def _installed_folder(
    dist: importlib.metadata.Distribution | None, module: str, filename: str
) -> Path | None:
    """Folder of a distribution's package.

    It is beside the distribution's metadata, unless it is installed to be edited; only then is
    all of ``sys.path`` searched.
    """
    if dist is not None:
        beside = str(dist.locate_file(module.replace(".", "/")))
        if os.path.isfile(os.path.join(beside, filename)):
            return Path(beside)
    return package_folder(module)


def namespace_plugins() -> Iterator[Plugin]:
    """Plugins that lie in the namespace package ``handzoo_plugins``, installed or not."""
    for folder in namespace_folders():
        for manifest in sorted(folder.glob(f"*/{MANIFEST_NAME}")):
            yield plugin_from_manifest(manifest, f"{NAMESPACE}.{manifest.parent.name}", folder)


def namespace_folders() -> list[Path]:
    """Folders of the namespace package, and the one beside this package in a checkout."""
    spec = importlib.util.find_spec(NAMESPACE)
    locations = list(spec.submodule_search_locations or []) if spec is not None else []
    beside = Path(__file__).resolve().parents[2] / NAMESPACE
    folders = [Path(location).resolve() for location in locations] + [beside]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def named_plugin(source: str) -> Plugin:
    """The plugin that a run names: a manifest file, a folder, or a module that can be imported.

    Raises:
        PluginError: nothing is there; says where it looked.
    """
    path = Path(source)
    candidates = [path] if path.suffix == ".toml" else [path / MANIFEST_NAME]
    if path.is_dir():
        candidates += sorted(path.glob(f"*/{MANIFEST_NAME}"))
        candidates += sorted(path.glob(f"src/*/{MANIFEST_NAME}"))
    elif path.suffix != ".toml":
        folder = package_folder(source) if _is_module_name(source) else None
        candidates += [folder / MANIFEST_NAME] if folder is not None else []
    for manifest in candidates:
        if manifest.is_file():
            manifest = manifest.resolve()
            return plugin_from_manifest(manifest, source, manifest.parent.parent)
    looked = ", ".join(str(candidate) for candidate in candidates)
    raise PluginError(
        f"no plugin at {source!r}: it is neither a folder or module with a {MANIFEST_NAME} nor "
        f"such a file. Looked for: {looked}."
    )


def plugin_from_manifest(manifest: Path, origin: str, search_path: Path) -> Plugin:
    """A plugin that lies at ``manifest`` and whose package lies in ``search_path``."""
    plugin = Plugin(name=manifest.parent.name, origin=origin, search_path=search_path)
    if search_path.name == NAMESPACE:
        plugin.search_path = search_path.parent
    try:
        _take_manifest(plugin, manifest)
    except Exception as error:
        plugin.fail(error, "reading its manifest")
    return plugin


def package_folder(module: str) -> Path | None:
    """Folder of a package, found without importing it; None if there is no such package.

    ``find_spec`` imports the parents of a dotted name, so only the first part goes through it.
    """
    first, *rest = module.split(".")
    spec = importlib.util.find_spec(first)
    if spec is None or not spec.submodule_search_locations:
        return None
    for location in spec.submodule_search_locations:
        folder = Path(location, *rest)
        if folder.is_dir():
            return folder
    return None


def _is_module_name(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _take_manifest(plugin: Plugin, path: Path) -> None:
    plugin.manifest = read_manifest(path)
    plugin.name = plugin.manifest.name
    plugin.version = plugin.manifest.version or plugin.version
