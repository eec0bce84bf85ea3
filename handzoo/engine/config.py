"""Reading configs: by file or by model name, with strict checks.

Example:
    cfg = load_config('cliphand_s24_freihand', ['optim_wrapper.optimizer.lr=2e-4'])
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handzoo.engine.compat import package_bases
from handzoo.errors import ConfigError, suggest
from handzoo.plugins import activate
from handzoo.zoo.index import configs_root, find_config, model_names, unknown_model

if TYPE_CHECKING:
    from mmengine.config import Config


def resolve_config(name_or_path: str | os.PathLike[str]) -> Path:
    """The file of a config that is named by its path or by its model name.

    Args:
        name_or_path: ``configs/cliphand/s24_freihand.py``, the same without the leading folder
            when it is installed, or ``cliphand_s24_freihand``.

    Raises:
        ConfigError: no such file or model; says which names are near.
    """
    text = os.fspath(name_or_path)
    path = Path(text).expanduser()
    if path.is_file():
        return path
    looks_like_a_path = path.suffix == ".py" or os.sep in text
    if looks_like_a_path:
        parts = path.parts[1:] if path.parts[0] == "configs" else path.parts
        shipped = configs_root().joinpath(*parts)
        if not path.is_absolute() and shipped.is_file():
            return shipped
    found = find_config(text)
    if found is not None:
        return found
    if path.suffix == ".py":
        raise ConfigError(
            f"{text}: no such config file. {suggest(path.stem, _stems())} "
            "`handzoo list` shows the models that are there."
        )
    raise unknown_model(text, _names())


def _names() -> set[str]:
    """Every name that :func:`resolve_config` takes."""
    by_rule = {f"{path.parent.name}_{path.stem}" for path in configs_root().glob("[!_]*/*.py")}
    return by_rule | set(model_names())


def _stems() -> list[str]:
    return [path.stem for path in configs_root().glob("*/*.py")]


def load_config(
    name_or_path: str | os.PathLike[str],
    cfg_options: Iterable[str] | Mapping[str, Any] | None = None,
    plugins: Iterable[str] = (),
    check: bool = True,
    dataset: str | None = None,
) -> Config:
    """Read a config, merge the options and check all of it.

    Args:
        name_or_path: see :func:`resolve_config`.
        cfg_options: ``KEY=VALUE`` strings or a mapping from dotted paths to values.
        plugins: modules or paths of code that is not installed (``--plugin``); the config's own
            ``plugins`` list is added.
        check: look every class and argument up. Only a reader of broken configs turns it off.
        dataset: other data than the config's; see
            :func:`~handzoo.engine.data_choice.use_dataset`. The options come after it.

    Returns:
        MMEngine ``Config``; ``cfg.model_name`` is the name in the zoo or the file's stem, and
        ``cfg.plugins`` lists the code that was loaded for it.

    Raises:
        ConfigError: naming the key path and the nearest valid name.
        PluginError: one of ``plugins`` is not found.
    """
    from mmengine.config import Config

    from handzoo.engine.options import apply_options, parse_options
    from handzoo.engine.schema import check_config
    from handzoo.zoo.index import name_of_config

    named = [_absolute(Path(name), name) for name in plugins]
    activate(named)  # first, since the config may be one of theirs
    path = resolve_config(name_or_path)
    try:
        with package_bases():
            cfg = Config.fromfile(str(path), lazy_import=False, import_custom_modules=False)
    except ConfigError:
        raise
    except SyntaxError as error:
        # MMEngine reads a copy and says where that was; the message's end is about the line.
        said = re.sub(r"^There are syntax errors in config file \S+: ", "", str(error.msg))
        said = said.replace(" (<unknown>, ", " (")
        raise ConfigError(f"{path}: no valid Python: {said}") from None
    except Exception as error:
        raise ConfigError(f"{path}: cannot be read: {type(error).__name__}: {error}") from error
    own = [_beside(path, name) for name in cfg.get("plugins", [])]
    activate(own)
    cfg.plugins = list(dict.fromkeys([*own, *named]))
    cfg.setdefault("model_name", name_of_config(path))
    cfg.setdefault("default_scope", "handzoo")
    if cfg.default_scope != "handzoo":
        raise ConfigError(
            f"default_scope: is {cfg.default_scope!r}, must be 'handzoo'; name a class of another "
            "package as 'package.Name'."
        )
    if dataset is not None:
        from handzoo.engine.data_choice import use_dataset

        cfg = use_dataset(cfg, dataset)
    apply_options(cfg, parse_options(cfg_options))
    if check:
        check_config(cfg)
    return cfg


def _beside(config: Path, source: str) -> str:
    """A plugin that a config names by a path relative to itself, as an absolute path."""
    is_path = source.endswith((".py", ".toml")) or os.sep in source
    return _absolute(config.parent / source, source) if is_path else source


def _absolute(path: Path, source: str) -> str:
    """The path if it is there, for whoever runs the dumped config from another folder."""
    return str(path.resolve()) if path.exists() else source


def config_text(cfg: Any) -> str:
    """The whole config as Python text; as JSON where the formatter fails on it."""
    try:
        return cfg.pretty_text
    except Exception:  # a formatter's fault must not cost a training run
        import json

        return json.dumps(cfg.to_dict(), default=str, indent=1)
