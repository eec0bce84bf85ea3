"""``--cfg-options``: overriding single values of a config from the command line.

MMEngine merges any path without a word, so that a misspelt one changes nothing. Here a path must
exist, or name an argument that the class at that place takes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any

from handzoo.errors import ConfigError, suggest

_WORDS = {"true": True, "false": False, "none": None, "null": None}


def parse_options(items: Iterable[str] | Mapping[str, Any] | None) -> dict[str, Any]:
    """Turn ``['model.depth=4', 'lr=1e-3']`` into ``{'model.depth': 4, 'lr': 0.001}``.

    Args:
        items: ``KEY=VALUE`` strings, or a mapping that is returned as a plain dict.

    Raises:
        ConfigError: an item has no ``=``, an empty key, or a value that does not parse.
    """
    if items is None:
        return {}
    if isinstance(items, Mapping):
        return dict(items)
    options: dict[str, Any] = {}
    for item in items:
        key, separator, value = item.partition("=")
        key = key.strip()
        if not separator or not key:
            raise ConfigError(
                f"--cfg-options: {item!r} is not KEY=VALUE, such as model.neck.depth=2."
            )
        options[key] = parse_value(value.strip(), key)
    return options


def parse_value(text: str, key: str = "value") -> Any:
    """Read a value as Python would write it; bare words are strings, ``1,2,3`` is a list.

    Raises:
        ConfigError: brackets or quotes that do not close.

    Example:
        >>> parse_value('[1, 2.5]'), parse_value('true'), parse_value('ViT-B-32')
        ([1, 2.5], True, 'ViT-B-32')
    """
    if text.casefold() in _WORDS:
        return _WORDS[text.casefold()]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        if text and text[0] in "[({'\"":
            raise ConfigError(
                f"--cfg-options {key}: cannot read {text!r}. Write lists as '[1,2]', mappings "
                "as \"{'a': 1}\" and quote the whole option for the shell."
            ) from None
        if "," in text:
            return [parse_value(part.strip(), key) for part in text.split(",") if part.strip()]
        return text
    # `1,2` parses as a tuple without brackets; configs hold lists.
    return list(value) if isinstance(value, tuple) and not text.startswith("(") else value


def apply_options(cfg: Any, options: Mapping[str, Any]) -> None:
    """Write each option into ``cfg`` (in place).

    Args:
        cfg: MMEngine ``Config``.
        options: dotted key path -> value; list elements are named by their index.

    Raises:
        ConfigError: a path that does not exist and that the class at that place does not take.
    """
    for path, value in options.items():
        keys = path.split(".")
        _check_path(cfg, keys, value)
        cfg.merge_from_dict({path: value}, allow_list_keys=True)


def _check_path(cfg: Any, keys: list[str], value: Any) -> None:
    from handzoo.engine.schema import VARIABLES, accepted_arguments, is_variable, top_level_keys

    where = ".".join(keys)
    if is_variable(keys[0]) and keys[0] in cfg:
        raise ConfigError(
            f"--cfg-options {where}: {keys[0]!r} is a variable of the config file whose value is "
            "already in place; name the place itself, such as train_dataloader.batch_size=4."
        )
    if keys[0] not in cfg and keys[0] not in top_level_keys():
        names = [name for name in (*cfg.keys(), *top_level_keys()) if name not in VARIABLES]
        raise ConfigError(
            f"--cfg-options {where}: this config has no {keys[0]!r}. {suggest(keys[0], names)}"
        )
    node: Any = cfg
    for depth, key in enumerate(keys):
        here = ".".join(keys[: depth + 1])
        last = depth == len(keys) - 1
        if isinstance(node, (list, tuple)):
            if not key.isdigit() or int(key) >= len(node):
                raise ConfigError(
                    f"--cfg-options {where}: {here!r} must be an index below {len(node)}."
                )
            node = node[int(key)]
        elif isinstance(node, Mapping) or depth == 0:
            if key not in node:
                known, any_keyword = accepted_arguments(tuple(keys[:depth]), node)
                if depth == 0 or any_keyword or key in known:
                    return  # a new argument of a class that takes it
                names = [*node.keys(), *known]
                raise ConfigError(
                    f"--cfg-options {where}: there is no {key!r} in "
                    f"{'.'.join(keys[:depth]) or 'the config'}. {suggest(key, names)} "
                    f"It has: {', '.join(sorted(set(map(str, names))))}."
                )
            node = node[key]
        else:
            raise ConfigError(
                f"--cfg-options {where}: {'.'.join(keys[:depth])} is {node!r}, which has no parts."
            )
        if last and isinstance(node, Mapping) and not isinstance(value, Mapping | type(None)):
            raise ConfigError(
                f"--cfg-options {where}={value!r}: {here} is a mapping with "
                f"{', '.join(map(str, node))}; name one of these, or give None to leave it out."
            )
