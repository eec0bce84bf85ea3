"""``handzoo list`` and ``handzoo info``; neither imports torch."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from handzoo.errors import PluginError, suggest
from handzoo.zoo.index import ModelEntry, broken_metafiles, get_entry, select

_PARAMETERS, _MACS, _MAIN = "Parameters (M)", "MACs (G)", "PA-MPJPE"


def main_list(argv: Sequence[str] | None = None) -> int:
    """Print the models that fit the filters."""
    parser = argparse.ArgumentParser(prog="handzoo list", description="The models of the zoo.")
    parser.add_argument("pattern", nargs="*", help="shell pattern or part of the name")
    parser.add_argument("--method", help="such as cliphand or METRO")
    parser.add_argument("--backbone", help="such as PAT-S24 or hrnet*")
    parser.add_argument("--dataset", help="such as FreiHAND")
    parser.add_argument(
        "--plugin",
        metavar="NAME|SOURCE",
        help="models that this plugin brings, installed or not; '' for the core's",
    )
    parser.add_argument("--with-weights", action="store_true", help="only with published weights")
    parser.add_argument("--json", action="store_true", help="for programs")
    args = parser.parse_args(argv)
    if args.plugin:
        args.plugin = _plugin_name(args.plugin)
    rows = select(
        args.pattern,
        method=args.method,
        backbone=args.backbone,
        dataset=args.dataset,
        plugin=args.plugin,
        has_weights=True if args.with_weights else None,
    )
    if args.json:
        print(json.dumps([row.as_dict() for row in rows], indent=1))
        return 0
    print(_table(rows) if rows else "No model fits. `handzoo list` without filters shows all.")
    _print_left_out()
    return 0 if rows else 1


def _plugin_name(source: str) -> str:
    """Name of the plugin that ``--plugin`` means: one that was found, or one to be taken along.

    Raises:
        PluginError: there is neither.
    """
    from handzoo.plugins import plugin_manager

    manager = plugin_manager()
    if source in manager.plugins:
        return source
    try:
        (plugin,) = manager.activate([source])
    except PluginError as error:
        hint = suggest(source, manager.plugins)
        told = [str(error), hint, "`handzoo plugins list` shows what was found."]
        raise PluginError(" ".join(filter(None, told))) from error
    return plugin.name


def _print_left_out() -> None:
    """Say which plugins' models cannot be shown, and why; to stderr, out of the table's way."""
    from handzoo.plugins import PluginState, plugin_manager

    broken = broken_metafiles()
    for plugin in plugin_manager().all():
        trouble = str(broken.get(plugin.name, "")) or plugin.reason
        ill = plugin.state in (PluginState.FAILED, PluginState.INCOMPATIBLE)
        if ill or plugin.name in broken:
            print(f"Left out: models of the plugin {plugin.name!r}: {trouble}", file=sys.stderr)


def _table(rows: Sequence[ModelEntry]) -> str:
    """Plain columns: rich takes longer to import than everything else here."""
    head = ("model", "method", "backbone", "data", "params M", "MACs G", f"{_MAIN} mm*", "weights")
    lines = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    numbers = {4, 5, 6}
    text = [
        "  ".join(
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    text.insert(1, "-" * max(map(len, text)))
    text.append(f"\n{len(rows)} models. * as published by the method's authors, not measured here.")
    return "\n".join(text)


def _cells(entry: ModelEntry) -> tuple[str, ...]:
    return (
        entry.name,
        entry.method,
        entry.backbone,
        entry.dataset,
        _number(entry.metadata.get(_PARAMETERS)),
        _number(entry.metadata.get(_MACS)),
        _number(entry.published.get(_MAIN), 1),
        "yes" if entry.weights else "-",
    )


def _number(value: Any, digits: int = 2) -> str:
    return "-" if value is None else f"{float(value):.{digits}f}"


def main_info(argv: Sequence[str] | None = None) -> int:
    """Print everything that the index knows about one model."""
    parser = argparse.ArgumentParser(prog="handzoo info", description="Everything about one model.")
    parser.add_argument("name", help="model name (see `handzoo list`)")
    parser.add_argument("--json", action="store_true", help="for programs")
    args = parser.parse_args(argv)
    entry = get_entry(args.name)
    if args.json:
        print(json.dumps(entry.as_dict(), indent=1))
        return 0
    print("\n".join(_description(entry)))
    return 0


def _description(entry: ModelEntry) -> list[str]:
    lines = [entry.name, "=" * len(entry.name)]
    if entry.summary:
        lines += [entry.summary, ""]
    rows: dict[str, Any] = {
        "method": entry.method,
        "data": entry.dataset,
        "config": entry.config,
        "plugin": entry.plugin or None,
        "licence": entry.license or None,
        **{key.lower() if key != _MACS else key: value for key, value in entry.metadata.items()},
    }
    width = max(len(key) for key in rows)
    lines += [f"{key.ljust(width)}  {value}" for key, value in rows.items() if value is not None]
    lines += _figures("Published by its authors", entry.published)
    lines += _figures("Measured with this code", entry.measured)
    if entry.paper:
        lines += ["", "Paper: " + ", ".join(str(value) for value in entry.paper.values())]
    weights = entry.weights.get("File") if entry.weights else None
    lines += ["", f"Weights: {weights or 'none published; train them or bring a checkpoint'}"]
    checkpoint = "" if weights else " CHECKPOINT"
    lines += ["", f"handzoo train {entry.name}", f"handzoo test {entry.name}{checkpoint}"]
    return lines


def _figures(title: str, figures: dict[str, Any]) -> list[str]:
    if not figures:
        return ["", f"{title}: nothing"]
    width = max(len(str(key)) for key in figures)
    return ["", f"{title}:", *(f"  {str(key).ljust(width)}  {v}" for key, v in figures.items())]
