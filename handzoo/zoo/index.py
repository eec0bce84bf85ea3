"""The model index: every ``metafile.yml`` below the configs, read without importing torch.

A metafile lists the models of one method folder::

    Collection:
      Name: CLIP-Hand
      Paper: {Title: ..., URL: ..., Year: 2024}
    Models:
      - Name: cliphand_s24_freihand
        Config: s24_freihand.py
        Metadata: {Backbone: PAT-S24, Parameters (M): 40.20, MACs (G): 34.89}
        Data: FreiHAND
        Published: {PA-MPJPE: 6.6}
        Measured: null
        Weights: null

``Published`` is what the paper reports, ``Measured`` what a result file of this repository says;
they are never mixed.
"""

from __future__ import annotations

import fnmatch
import functools
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from handzoo.errors import ConfigError, PluginError, suggest

PACKAGE = Path(__file__).resolve().parent.parent

_MODEL_KEYS = {
    "Name", "Config", "Metadata", "Data", "Published", "Measured", "Weights", "Summary", "License",
}  # fmt: skip
_REQUIRED = ("Name", "Config", "Metadata", "Data")


@dataclass(frozen=True)
class ModelEntry:
    """One row of the index.

    Attributes:
        name: unique; a plugin's is ``plugin/name``.
        method: the collection's name, such as ``CLIP-Hand``.
        config: absolute path.
        backbone, dataset: as the metafile spells them.
        metadata: parameters in millions, MACs in G, and whatever else describes the model.
        published: the paper's figures, by metric name; mm where a length.
        measured: figures from a result file made with this code, or empty.
        weights: ``{'File' | 'URLs': ..., 'SHA256': ...}`` or empty.
        paper: title, URL, year.
        plugin: the plugin that brings it; empty for the core.
    """

    name: str
    method: str
    config: str
    backbone: str
    dataset: str
    summary: str = ""
    license: str = ""
    plugin: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    published: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Any] = field(default_factory=dict)
    paper: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def configs_root() -> Path:
    """The configs of this copy of HandZoo: the checkout's, or those inside the wheel."""
    checkout = PACKAGE.parent / "configs"
    return checkout if (checkout / "_base_").is_dir() else PACKAGE / "_configs"


def _plugin_metafiles() -> tuple[tuple[str, Path], ...]:
    """(plugin, metafile) of every usable plugin that has one; nothing of it is imported."""
    from handzoo.plugins import plugin_manager

    return tuple(
        (plugin.name, plugin.manifest.metafile)
        for plugin in plugin_manager().all()
        if plugin.usable and plugin.manifest is not None and plugin.manifest.metafile is not None
    )


def entries() -> tuple[ModelEntry, ...]:
    """All models, in natural order of their names.

    Raises:
        ConfigError: a metafile of the core is wrong. A plugin's wrong metafile is left out and
            shown by ``handzoo plugins doctor``.
    """
    # A run may name further plugins at any time, so they are part of what is remembered.
    return _all_entries(configs_root(), _plugin_metafiles())


@functools.lru_cache(maxsize=4)
def _all_entries(
    root: Path, plugin_metafiles: tuple[tuple[str, Path], ...]
) -> tuple[ModelEntry, ...]:
    found = list(_core_entries(root))
    for plugin, path in plugin_metafiles:
        found += _plugin_entries(plugin, path)[0]
    return tuple(sorted(found, key=lambda entry: natural_key(entry.name)))


@functools.lru_cache(maxsize=4)
def _core_entries(root: Path) -> tuple[ModelEntry, ...]:
    found: dict[str, ModelEntry] = {}
    for path in sorted(root.glob("*/metafile.yml")):
        for entry in read_metafile(path):
            if entry.name in found:
                raise ConfigError(
                    f"the model name {entry.name!r} is used twice, by {found[entry.name].config} "
                    f"and {entry.config}."
                )
            found[entry.name] = entry
    return tuple(found.values())


@functools.cache
def _plugin_entries(plugin: str, path: Path) -> tuple[tuple[ModelEntry, ...], ConfigError | None]:
    """A plugin's models, and what is wrong with its metafile if they cannot be had."""
    try:
        return tuple(read_plugin_metafile(path, plugin)), None
    except ConfigError as error:
        return (), error


def broken_metafiles() -> dict[str, ConfigError]:
    """Plugins whose metafile could not be read, with the error."""
    errors = {plugin: _plugin_entries(plugin, path)[1] for plugin, path in _plugin_metafiles()}
    return {plugin: error for plugin, error in errors.items() if error is not None}


def _entries_of(plugin: str) -> tuple[ModelEntry, ...]:
    """Models of one plugin, or the core's for the empty name; no other metafile is read."""
    if not plugin:
        return _core_entries(configs_root())
    path = dict(_plugin_metafiles()).get(plugin)
    return _plugin_entries(plugin, path)[0] if path is not None else ()


def find_entry(name: str) -> ModelEntry | None:
    """The row of a model, or None if no model has that name; see :func:`get_entry`."""
    plugin = name.partition("/")[0] if "/" in name else ""
    return next((entry for entry in _entries_of(plugin) if entry.name == name), None)


def read_plugin_metafile(path: Path, plugin: str) -> list[ModelEntry]:
    """As :func:`read_metafile`, and whatever is wrong with the file is a ConfigError.

    A plugin's file must not break the zoo for those who do not ask for the plugin, so nothing is
    taken for granted about what it holds.
    """
    try:
        found = read_metafile(path, plugin)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"{path}: not a model index: {type(error).__name__}: {error}. Compare it with that of "
            "a new plugin (`handzoo plugins new`)."
        ) from error
    names = [entry.name for entry in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{path}: the model name {name!r} is used twice.")
    return found


def read_metafile(path: Path, plugin: str = "") -> list[ModelEntry]:
    """Read and validate one metafile.

    Raises:
        ConfigError: naming file, model and key.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        with open(path, encoding="utf-8") as file:
            content = yaml.load(file.read(), Loader=loader)
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    if not isinstance(content, dict) or set(content) != {"Collection", "Models"}:
        raise ConfigError(f"{path}: needs exactly the keys Collection and Models.")
    collection = content["Collection"] or {}
    if "Name" not in collection:
        raise ConfigError(f"{path}: Collection needs a Name.")
    return [_entry(path, collection, model, plugin) for model in content["Models"] or []]


def _entry(
    path: Path, collection: dict[str, Any], model: dict[str, Any], plugin: str
) -> ModelEntry:
    label = model.get("Name", "a model without Name")
    for key in _REQUIRED:
        if key not in model:
            raise ConfigError(f"{path}: {label}: {key} is missing.")
    for key in model:
        if key not in _MODEL_KEYS:
            raise ConfigError(f"{path}: {label}: unknown key {key!r}. {suggest(key, _MODEL_KEYS)}")
    config = os.path.join(os.path.dirname(path), model["Config"])
    if not os.path.isfile(config):
        raise ConfigError(f"{path}: {label}: Config {model['Config']!r} is not there.")
    metadata = dict(model["Metadata"] or {})
    return ModelEntry(
        name=f"{plugin}/{label}" if plugin else label,
        method=collection["Name"],
        config=config,
        backbone=str(metadata.get("Backbone", "")),
        dataset=str(model["Data"]),
        summary=str(model.get("Summary") or ""),
        license=str(model.get("License") or ""),
        plugin=plugin,
        metadata=metadata,
        published=dict(model.get("Published") or {}),
        measured=dict(model.get("Measured") or {}),
        weights=dict(model.get("Weights") or {}),
        paper=dict(collection.get("Paper") or {}),
    )


def natural_key(name: str) -> list[tuple[int, int | str]]:
    """Sort key that puts s12 before s104."""
    return [
        (0, int(part)) if part.isdigit() else (1, part.casefold())
        for part in re.split(r"(\d+)", name)
    ]


def model_names() -> list[str]:
    """Names of all models."""
    return [entry.name for entry in entries()]


def list_models(
    pattern: str | Iterable[str] = "",
    *,
    exclude: str | Iterable[str] = (),
    method: str | None = None,
    backbone: str | None = None,
    dataset: str | None = None,
    plugin: str | None = None,
    has_weights: bool | None = None,
) -> list[str]:
    """Names of the models that fit every condition, in natural order.

    Args:
        pattern: shell pattern(s) on the name; a plain word matches anywhere. Empty: all.
        exclude: shell pattern(s) on the name to leave out.
        method, backbone, dataset: shell pattern or part of the word, case ignored.
        plugin: name of the plugin; ``''`` for the core alone.
        has_weights: whether published weights exist.

    Example:
        list_models('fastmetro*', dataset='freihand')
    """
    return [
        entry.name
        for entry in select(
            pattern,
            exclude=exclude,
            method=method,
            backbone=backbone,
            dataset=dataset,
            plugin=plugin,
            has_weights=has_weights,
        )
    ]


def select(
    pattern: str | Iterable[str] = "",
    *,
    exclude: str | Iterable[str] = (),
    method: str | None = None,
    backbone: str | None = None,
    dataset: str | None = None,
    plugin: str | None = None,
    has_weights: bool | None = None,
) -> list[ModelEntry]:
    """As :func:`list_models`, but the whole entries."""
    patterns = [pattern] if isinstance(pattern, str) else list(pattern)
    unwanted = [exclude] if isinstance(exclude, str) else list(exclude)
    chosen = []
    for entry in entries():
        fits = (
            (not any(patterns) or any(matches(entry.name, one) for one in patterns if one))
            and not any(matches(entry.name, one) for one in unwanted)
            and (method is None or matches(entry.method, method) or entry_folder(entry) == method)
            and (backbone is None or matches(entry.backbone, backbone))
            and (dataset is None or matches(entry.dataset, dataset))
            and (plugin is None or entry.plugin == plugin)
            and (has_weights is None or bool(entry.weights) == has_weights)
        )
        if fits:
            chosen.append(entry)
    return chosen


def entry_folder(entry: ModelEntry) -> str:
    """Name of the method's folder below configs, such as ``cliphand``."""
    return Path(entry.config).parent.name


def matches(text: str, pattern: str) -> bool:
    """Shell pattern, or part of the word when it has no wildcard; case and hyphens ignored."""
    plain = re.sub(r"[-_ ]", "", text.casefold())
    wanted = re.sub(r"[-_ ]", "", pattern.casefold())
    if any(sign in wanted for sign in "*?["):
        return fnmatch.fnmatchcase(plain, wanted)
    return wanted in plain


def get_entry(name: str) -> ModelEntry:
    """The row of a model.

    Raises:
        ConfigError: unknown name, with the nearest ones.
    """
    found = find_entry(name)
    if found is None:
        raise unknown_model(name)
    return found


def unknown_model(name: str, names: Iterable[str] = ()) -> ConfigError | PluginError:
    """The error for a name that is no model: what is near, or what is wrong with its plugin.

    Args:
        name: what was asked for.
        names: what else could have been asked for, besides the models.
    """
    known = [*model_names(), *names]
    plugin_name, slash, _ = name.partition("/")
    if slash:
        from handzoo.plugins import plugin_manager

        plugins = plugin_manager().plugins
        plugin = plugins.get(plugin_name)
        if plugin is None:
            near = suggest(name, known) or suggest(plugin_name, plugins)
            return ConfigError(
                f"no model is called {name!r}, and no plugin {plugin_name!r} was found. {near} "
                f"Plugins that were found: {', '.join(sorted(plugins)) or 'none'}. One that is "
                f"not installed is named by HANDZOO_PLUGINS=FOLDER."
            )
        if not plugin.usable:
            error = PluginError(
                f"the model {name!r} cannot be had: its plugin was found, {plugin.complaint} "
                f"`handzoo plugins doctor {plugin_name}` tells more."
            )
            error.__cause__ = plugin.error
            return error
        broken = broken_metafiles().get(plugin_name)
        if broken is not None:
            return ConfigError(f"the models of the plugin {plugin_name!r} are left out: {broken}")
    return ConfigError(
        f"no model is called {name!r}. {suggest(name, known)} "
        "`handzoo list` shows the models that are there."
    )


def find_config(name: str) -> Path | None:
    """Config file of a model: from the index, else by the rule ``<folder>_<file stem>``."""
    found = find_entry(name)
    if found is not None:
        return Path(found.config)
    for path in configs_root().glob("*/*.py"):
        if not path.parent.name.startswith("_") and f"{path.parent.name}_{path.stem}" == name:
            return path
    return None


def name_of_config(path: Path) -> str:
    """Model name of a config file: the index's, the rule's for shipped files, else its stem."""
    resolved = path.resolve()
    homes = [("", configs_root())]
    homes += [(plugin, metafile.parent) for plugin, metafile in _plugin_metafiles()]
    for plugin, home in homes:
        if not resolved.is_relative_to(home.resolve()):
            continue  # its models lie below its metafile
        for entry in _entries_of(plugin):
            if Path(entry.config).resolve() == resolved:
                return entry.name
    if resolved.parent.parent == configs_root().resolve():
        return f"{resolved.parent.name}_{resolved.stem}"
    return resolved.stem
