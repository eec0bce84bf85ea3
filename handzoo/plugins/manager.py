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
        self._disabled = set(split_list(os.environ.get("HANDZOO_DISABLE_PLUGINS", "")))
        self.all_disabled = bool(_TRUE & {name.lower() for name in self._disabled})
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
            if same:
                return earlier  # found twice, by two ways
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
            f"{role} {name!r} is provided by the plugin {plugin.name!r}, which is "
            f"{plugin.state.value}: {plugin.reason}. `handzoo plugins doctor` tells more."
        )
        error.__cause__ = plugin.error
        return error

    def _load(self, plugin: Plugin, role: str, name: str) -> Any:
        if (role, name) in plugin.loaded:
            return plugin.loaded[(role, name)]
        entry = plugin.find(role, name)
        module_name, _, attribute = entry.object.partition(":")
        if plugin.search_path is not None and str(plugin.search_path) not in sys.path:
            sys.path.append(str(plugin.search_path))
        try:
            found = importlib.import_module(module_name)
            for part in attribute.split("."):
                found = getattr(found, part)
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

    def used(self) -> list[dict[str, str]]:
        """Name, version and distribution of the plugins that a class was taken from."""
        return [
            {
                "name": plugin.name,
                "version": plugin.version,
                "distribution": plugin.distribution,
            }
            for plugin in self.all()
            if plugin.loaded
        ]


def _manifest_path(plugin: Plugin) -> Path | None:
    return plugin.manifest.path.resolve() if plugin.manifest is not None else None


@functools.cache
def plugin_manager() -> PluginManager:
    """The manager of this process, made on first use."""
    return PluginManager()
