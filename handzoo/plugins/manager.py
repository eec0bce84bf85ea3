"""The plugins of this process: found once, imported when used, each on its own."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import handzoo
from handzoo.errors import ConfigError, PluginError, suggest
from handzoo.plugins.discovery import (
    installed_plugins,
    named_plugin,
    namespace_plugins,
    package_folder,
    split_list,
)
from handzoo.plugins.state import Plugin, PluginState

_TRUE = {"1", "true", "all", "yes"}


class PluginManager:
    """Finds plugins, keeps the state of each, and imports their classes on demand.

    Args:
        sources: plugins named by the run, before HANDZOO_PLUGINS.
        version: HandZoo's version that plugins have to fit.
    """

    def __init__(self, sources: Iterable[str] = (), version: str = handzoo.__version__) -> None:
        self.version = version
        self.plugins: dict[str, Plugin] = {}
        self.shadowed: list[Plugin] = []
        self.uses: list[str] = []  # names of plugins, each time that a class was taken from one
        self._disabled = set(split_list(os.environ.get("HANDZOO_DISABLE_PLUGINS", "")))
        self.all_disabled = bool(_TRUE & {name.lower() for name in self._disabled})
        if self.all_disabled:
            self._disabled = set()
        for source in [*sources, *split_list(os.environ.get("HANDZOO_PLUGINS", ""))]:
            try:
                plugin = named_plugin(source)
            except PluginError as error:
                # Named by the environment, which may serve many runs: reported by `doctor`.
                plugin = Plugin(name=source, origin="HANDZOO_PLUGINS")
                plugin.fail(error, "finding it")
            self._add(plugin)
        for plugin in installed_plugins():
            self._add(plugin)
        for plugin in namespace_plugins():
            self._add(plugin)

    def _add(self, plugin: Plugin) -> Plugin:
        """Decide the state of a plugin that was found, and keep it."""
        earlier = self.plugins.get(plugin.name)
        if earlier is not None:
            same = _manifest_path(earlier) is not None and (
                _manifest_path(earlier) == _manifest_path(plugin)
            )
            if same:  # found twice, by two ways; only the installed one knows its version
                earlier.distribution = earlier.distribution or plugin.distribution
                earlier.version = earlier.version or plugin.version
                return earlier
            plugin.state = PluginState.SHADOWED
            plugin.reason = f"a plugin of the same name was found first: {earlier.origin}"
            self.shadowed.append(plugin)
            return plugin
        if self.all_disabled or plugin.name in self._disabled:
            plugin.state = PluginState.DISABLED
            plugin.reason = "HANDZOO_DISABLE_PLUGINS turns it off"
        elif plugin.manifest is not None and not plugin.manifest.fits(self.version):
            plugin.state = PluginState.INCOMPATIBLE
            plugin.reason = (
                f"it needs handzoo {plugin.manifest.requires}, and this is {self.version}"
            )
        self.plugins[plugin.name] = plugin
        return plugin

    def activate(self, sources: Iterable[str]) -> list[Plugin]:
        """Add plugins that a config or the command line names.

        Raises:
            PluginError: nothing is found at a source, or another plugin has its name.
        """
        activated = []
        for source in sources:
            plugin = self._add(named_plugin(source))
            if plugin.state is PluginState.SHADOWED:
                raise PluginError(f"plugin {plugin.name!r} from {source!r}: {plugin.reason}.")
            activated.append(plugin)
        return activated

    def unknown_disabled(self) -> list[str]:
        """Names in HANDZOO_DISABLE_PLUGINS that no plugin has."""
        return sorted(self._disabled - set(self.plugins))

    def all(self) -> list[Plugin]:
        """Every plugin that was found, sorted by name, shadowed ones last."""
        return sorted(self.plugins.values(), key=lambda plugin: plugin.name) + self.shadowed

    def resolve(self, role: str, key: str) -> Any | None:
        """See :func:`handzoo.plugins.resolve`."""
        if "/" in key:
            return self._resolve_qualified(role, key)
        providers = [plugin for plugin in self.plugins.values() if plugin.find(role, key)]
        usable = [plugin for plugin in providers if plugin.usable]
        if len(usable) > 1:
            choices = " or ".join(f"'{plugin.name}/{key}'" for plugin in usable)
            raise ConfigError(f"several plugins provide the {role} {key!r}; write {choices}.")
        if usable:
            return self._load(usable[0], role, key)
        if providers:
            raise self._unusable(providers[0], role, key)
        return None

    def _resolve_qualified(self, role: str, key: str) -> Any:
        name, _, bare = key.partition("/")
        plugin = self.plugins.get(name)
        if plugin is None:
            raise PluginError(
                f"{role} {key!r}: no plugin called {name!r} was found. "
                f"{suggest(name, self.plugins)} Found: {', '.join(sorted(self.plugins)) or 'none'}."
                f" Install the package that provides it, or name it in the config's `plugins`."
            )
        if plugin.manifest is None or not plugin.usable:
            raise self._unusable(plugin, role, bare)
        if plugin.find(role, bare) is None:
            own = [entry.name for entry in plugin.provides if entry.part == role]
            raise ConfigError(
                f"plugin {name!r} provides no {role} called {bare!r}. {suggest(bare, own)} "
                f"Of that kind it provides: {', '.join(own) or 'none'}."
            )
        return self._load(plugin, role, bare)

    def _unusable(self, plugin: Plugin, role: str, name: str) -> PluginError:
        error = PluginError(
            f"{role} {name!r} is provided by the plugin {plugin.name!r}, {plugin.complaint} "
            f"`handzoo plugins doctor {plugin.name}` tells more."
        )
        error.__cause__ = plugin.error
        return error

    def _load(self, plugin: Plugin, role: str, name: str) -> Any:
        self.uses.append(plugin.name)
        if (role, name) in plugin.loaded:
            return plugin.loaded[(role, name)]
        entry = plugin.find(role, name)
        try:
            found = _import_object(plugin, entry.object)
        except (Exception, SystemExit) as error:
            plugin.fail(error, f"importing {entry.object}")
            raise self._unusable(plugin, role, name) from error
        plugin.loaded[(role, name)] = found
        return found

    def provided_names(self, role: str) -> list[str]:
        """``plugin/Name`` of every class of this role, and ``Name`` where it is unique."""
        qualified, bare = [], []
        for plugin in self.plugins.values():
            for entry in plugin.provides:
                if entry.part == role:
                    qualified.append(f"{plugin.name}/{entry.name}")
                    bare.append(entry.name)
        return sorted(qualified) + sorted(name for name in set(bare) if bare.count(name) == 1)

    def describe_tried(self, role: str) -> str:
        """Which plugins were asked for a class of this role."""
        if not self.plugins:
            return "No plugins are installed."
        states = ", ".join(f"{plugin.name} ({plugin.state.value})" for plugin in self.all())
        return f"Plugins that were asked: {states}."

    def config_roots(self) -> list[tuple[Plugin, Path]]:
        """(plugin, folder of its configs) of every usable plugin that brings configs."""
        return [
            (plugin, plugin.manifest.configs)
            for plugin in self.all()
            if plugin.usable and plugin.manifest is not None and plugin.manifest.configs is not None
        ]

    def used(self, since: int = 0) -> list[dict[str, str]]:
        """Name, version and distribution of the plugins that a class was taken from.

        Args:
            since: leave out what was taken before ``len(uses)`` was this number.
        """
        names = set(self.uses[since:])
        return [
            {
                "name": plugin.name,
                "version": plugin.version,
                "distribution": plugin.distribution,
            }
            for plugin in self.all()
            if plugin.name in names and plugin.loaded
        ]


def _import_object(plugin: Plugin, target: str) -> Any:
    """The object that a manifest calls ``module:attribute``.

    Raises:
        PluginError: the manifest names what is not there, or the module comes from elsewhere.
        Exception: whatever the plugin's code raises.
    """
    module_name, _, attribute = target.partition(":")
    manifest = plugin.manifest.path
    _make_importable(plugin, module_name.partition(".")[0])
    try:
        found = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the plugin's own code lacks something
        raise PluginError(
            f"object = {target!r} in {manifest} names the module {error.name!r}, and there is none."
        ) from error
    _check_origin(plugin, module_name)
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise PluginError(
                f"object = {target!r} in {manifest}, and {module_name} has no {part!r}. "
                f"{suggest(part, vars(found))}".rstrip()
            ) from error
    return found


def _make_importable(plugin: Plugin, package: str) -> None:
    """Let the plugin's package be found where its manifest was, also before an installed twin."""
    if plugin.search_path is None or package in sys.modules:
        return
    folder = package_folder(package)
    if folder is None or folder.resolve().parent != plugin.search_path.resolve():
        sys.path.insert(0, str(plugin.search_path))
        importlib.invalidate_caches()


def _check_origin(plugin: Plugin, module_name: str) -> None:
    """Raise if a package of this name that lies elsewhere was imported before."""
    package = module_name.partition(".")[0]
    home = plugin.manifest.path.resolve().parent
    file = getattr(sys.modules[package], "__file__", None)
    if home.name == package and file is not None and Path(file).resolve().parent != home:
        raise PluginError(
            f"its package {package!r} belongs to {home}, and this process has imported another "
            f"one from {Path(file).parent}; give one of the two another name."
        )


def _manifest_path(plugin: Plugin) -> Path | None:
    return plugin.manifest.path.resolve() if plugin.manifest is not None else None


@functools.cache
def plugin_manager() -> PluginManager:
    """The manager of this process, made on first use."""
    return PluginManager()
