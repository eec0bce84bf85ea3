"""``handzoo plugins``: list, doctor, new."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from handzoo.errors import ConfigError, PluginError, suggest
from handzoo.plugins.manager import PluginManager, plugin_manager
from handzoo.plugins.scaffold import create_plugin, scaffold_parts
from handzoo.plugins.state import Plugin, PluginState

_COLOURS = {
    PluginState.OK: "green",
    PluginState.INCOMPATIBLE: "yellow",
    PluginState.FAILED: "red",
    PluginState.SHADOWED: "yellow",
    PluginState.DISABLED: "dim",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``handzoo plugins ...``; returns the exit code."""
    parser = build_parser()
    options = parser.parse_args(argv)
    if options.action == "new":
        root = create_plugin(options.name, part=options.part, parent=options.out)
        print(f"Wrote {root}. Next: pip install -e {root} && pytest {root}")
        return 0
    manager = plugin_manager()
    manager.activate(options.plugin)
    if options.action == "list":
        return list_plugins(manager, as_json=options.json)
    return doctor(manager, names=options.names)


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``handzoo plugins``."""
    parser = argparse.ArgumentParser(prog="handzoo plugins", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="SOURCE",
        help="a plugin that is not installed: module, folder or manifest; may be repeated",
    )
    listing = actions.add_parser("list", parents=[shared], help="what was found, and its state")
    listing.add_argument("--json", action="store_true", help="print JSON")
    check = actions.add_parser(
        "doctor", parents=[shared], help="import everything and explain what is wrong"
    )
    check.add_argument("names", nargs="*", metavar="NAME", help="only these plugins")
    new = actions.add_parser("new", help="write an installable plugin that works")
    new.add_argument("name", help="name of the plugin and of its package, such as my_head")
    new.add_argument(
        "--part",
        default="mesh_head",
        help=f"what it provides: {', '.join(scaffold_parts())} (default: mesh_head)",
    )
    new.add_argument("--out", default=".", help="folder to write into (default: here)")
    return parser


def plugin_row(plugin: Plugin) -> dict[str, object]:
    """What ``list --json`` says of one plugin."""
    return {
        "name": plugin.name,
        "version": plugin.version,
        "distribution": plugin.distribution,
        "origin": plugin.origin,
        "state": plugin.state.value,
        "reason": plugin.reason,
        "licence": plugin.manifest.licence if plugin.manifest is not None else "",
        "provides": [
            {"part": entry.part, "name": entry.name, "object": entry.object}
            for entry in plugin.provides
        ],
    }


def list_plugins(manager: PluginManager, as_json: bool = False) -> int:
    """Print every plugin that was found, from manifests alone."""
    if as_json:
        print(json.dumps([plugin_row(plugin) for plugin in manager.all()], indent=2))
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for column in ("plugin", "version", "state", "provides", "from"):
        table.add_column(column, overflow="fold")
    for plugin in manager.all():
        provides = ", ".join(f"{entry.part} {entry.name}" for entry in plugin.provides)
        state = f"[{_COLOURS[plugin.state]}]{plugin.state.value}[/]"
        if plugin.reason:
            state += f"\n{plugin.reason}"
        table.add_row(plugin.name, plugin.version, state, provides, plugin.origin)
    Console().print(table if manager.all() else "No plugins were found.")
    _print_unknown_disabled(manager)
    return 0


def _print_unknown_disabled(manager: PluginManager) -> None:
    for name in manager.unknown_disabled():
        hint = suggest(name, manager.plugins)
        print(f"HANDZOO_DISABLE_PLUGINS names {name!r}, which no plugin is called. {hint}".rstrip())


def doctor(manager: PluginManager, names: Sequence[str] = ()) -> int:
    """Import every class of every usable plugin and explain what does not work.

    Returns:
        0 if all is well, 1 otherwise.

    Raises:
        PluginError: a name is not among the plugins that were found.
    """
    known = {plugin.name for plugin in manager.all()}
    for name in names:
        if name not in known:
            raise PluginError(
                f"no plugin called {name!r} was found. {suggest(name, known)} Found: "
                f"{', '.join(sorted(known)) or 'none'}. One that is not installed is named by "
                "--plugin FOLDER."
            )
    healthy = True
    for plugin in manager.all():
        if names and plugin.name not in names:
            continue
        for entry in plugin.provides if plugin.usable else ():
            try:
                manager.resolve(entry.part, f"{plugin.name}/{entry.name}")
            except PluginError:
                break  # recorded in the plugin, and printed below
        healthy &= plugin.state in (PluginState.OK, PluginState.DISABLED)
        _print_diagnosis(plugin)
        trouble = _metafile_trouble(plugin)
        if trouble:
            print(f"  its models are left out of the zoo: {trouble}")
            healthy = False
    if not manager.all():
        print("No plugins were found.")
    _print_unknown_disabled(manager)
    return 0 if healthy else 1


def _metafile_trouble(plugin: Plugin) -> str:
    """What is wrong with the models that a plugin brings; empty if nothing is."""
    from handzoo.zoo.index import read_plugin_metafile

    if not plugin.usable or plugin.manifest is None or plugin.manifest.metafile is None:
        return ""
    try:
        read_plugin_metafile(plugin.manifest.metafile, plugin.name)
    except ConfigError as error:
        return str(error)
    return ""


def _print_diagnosis(plugin: Plugin) -> None:
    from handzoo.registry import REGISTRIES

    title = f"{plugin.name} {plugin.version}".rstrip()
    print(f"{title} ({plugin.origin}): {plugin.state.value}")
    if plugin.reason:
        print(f"  {plugin.reason}")
    for entry in plugin.provides:
        REGISTRIES[entry.part].import_from_location()
        core = entry.name in REGISTRIES[entry.part].module_dict
        note = f" (the core has a {entry.name}: write '{plugin.name}/{entry.name}')" if core else ""
        print(f"  {entry.part}: {entry.name} = {entry.object}{note}")
    if plugin.traceback:
        print("  " + plugin.traceback.replace("\n", "\n  ").rstrip())


if __name__ == "__main__":
    sys.exit(main())
