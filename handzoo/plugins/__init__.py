"""Plugins: parts from outside the core, found by a static manifest and imported when used.

A plugin is a package with a small TOML manifest (:mod:`handzoo.plugins.manifest`). It is found
(:mod:`handzoo.plugins.discovery`) through the entry point group ``handzoo.plugins``, in the open
namespace ``handzoo_plugins``, or by being named in a config, on the command line or in
HANDZOO_PLUGINS. Finding it runs none of its code. The registries ask :func:`resolve` for a name
that the core does not have; only then is the one module that defines it imported.

The functions here work on the process's :class:`~handzoo.plugins.manager.PluginManager`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from handzoo.plugins.manager import PluginManager, plugin_manager
from handzoo.plugins.manifest import Manifest, Provided
from handzoo.plugins.state import Plugin, PluginState

__all__ = [
    "Manifest",
    "Plugin",
    "PluginManager",
    "PluginState",
    "Provided",
    "activate",
    "config_roots",
    "describe_tried",
    "plugin_manager",
    "plugin_uses",
    "provided_names",
    "resolve",
    "used_plugins",
]


def resolve(role: str, key: str) -> Any | None:
    """Return the class that a plugin provides.

    Args:
        role: name of the registry that asks (``mesh_head``).
        key: ``Name``, or ``plugin/Name``.

    Returns:
        The class; None if no plugin provides it.

    Raises:
        PluginError: a plugin provides it and is disabled, incompatible or broken; chained to the
            true cause.
        ConfigError: several plugins provide the bare name.
    """
    return plugin_manager().resolve(role, key)


def provided_names(role: str) -> list[str]:
    """What can be written for plugins' classes of this role, from manifests alone."""
    return plugin_manager().provided_names(role)


def describe_tried(role: str) -> str:
    """A sentence for error messages: which plugins were asked for a class of this role."""
    return plugin_manager().describe_tried(role)


def activate(sources: Iterable[str]) -> list[Plugin]:
    """Make plugins available that are not installed: modules, folders or manifest files.

    Raises:
        PluginError: nothing is found at a source; says where it looked.
    """
    return plugin_manager().activate(sources)


def config_roots() -> list[tuple[Plugin, Any]]:
    """(plugin, folder of its configs) of every usable plugin that brings configs."""
    return plugin_manager().config_roots()


def used_plugins(since: int = 0) -> list[dict[str, str]]:
    """Name, version and distribution of every plugin that this process took a class from.

    Args:
        since: of :func:`plugin_uses`, to leave out what was taken before.
    """
    return plugin_manager().used(since)


def plugin_uses() -> int:
    """How often this process has taken a class from a plugin so far."""
    return len(plugin_manager().uses)
