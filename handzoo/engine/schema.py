"""What a HandZoo config may contain, and the check of a whole config before anything is built.

Every mapping with a ``type`` is looked up in its registry and its keys are compared with the
constructor's arguments, so that a typo costs a second and not an epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from handzoo.errors import ConfigError, suggest


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What mmengine.runner.Runner takes, and what HandZoo adds.
RUNNER_KEYS = _words(
    """model train_dataloader val_dataloader test_dataloader train_cfg val_cfg test_cfg
    auto_scale_lr optim_wrapper param_scheduler val_evaluator test_evaluator default_hooks
    custom_hooks data_preprocessor load_from resume launcher env_cfg log_processor log_level
    visualizer default_scope randomness experiment_name work_dir"""
)
HANDZOO_KEYS = _words(
    "model_name plugins allowed_missing evaluation_protocol activation_checkpointing "
    "prediction_filter"
)
# Names that config files use to build the values above. Anything private ('_x'), and anything
# that ends in one of VARIABLE_ENDINGS, is such a name too.
VARIABLES = _words(
    """dataset_type data_root backend_args batch_size num_workers max_epochs base_lr optimizer
    vis_backends hand_model topology image_size input_size heads embed_dim width seed protocol
    lr epochs evaluator channels load pack"""
)
VARIABLE_ENDINGS = ("pipeline", "_dataset", "_dataloader_cfg", "_hook", "_backbone", "_head")

# Settings without a class of their own.
PLAIN_MAPPINGS: dict[str, frozenset[str]] = {
    "randomness": frozenset({"seed", "diff_rank_seed", "deterministic"}),
    "env_cfg": frozenset({"cudnn_benchmark", "mp_cfg", "dist_cfg", "resource_limit"}),
    "auto_scale_lr": frozenset({"enable", "base_batch_size"}),
}
DATALOADER_EXTRAS = _words(
    """dataset sampler batch_sampler collate_fn worker_init_fn num_batch_per_epoch
    disable_subprocess_warning"""
)
# Keys that the runner takes out of a mapping before it calls the class.
CONSUMED = {
    "hook": frozenset({"priority"}),
    "loop": frozenset({"by_epoch"}),
    "optim_wrapper": frozenset({"optimizer", "constructor", "paramwise_cfg"}),
    "param_scheduler": frozenset({"convert_to_iter_based"}),
    "estimator": frozenset({"data_preprocessor"}),
}
_MERGE_KEYS = frozenset({"type", "_scope_", "_delete_"})


def top_level_keys() -> frozenset[str]:
    """Keys that mean something to HandZoo at the top level of a config."""
    return RUNNER_KEYS | HANDZOO_KEYS


def is_variable(key: str) -> bool:
    """Whether a top-level name only helps to write the config and is not read from it."""
    if key in top_level_keys():
        return False
    return key.startswith("_") or key in VARIABLES or key.endswith(VARIABLE_ENDINGS)


def _registries() -> dict[str, Any]:
    """Config key -> registry in which its ``type`` is looked up."""
    from handzoo import registry as hz

    return {
        "model": hz.ESTIMATORS,
        "data_preprocessor": hz.ESTIMATORS,
        "backbone": hz.BACKBONES,
        "neck": hz.NECKS,
        "query_head": hz.QUERY_HEADS,
        "mesh_head": hz.MESH_HEADS,
        "prior": hz.PRIORS,
        "guidance": hz.GUIDANCES,
        "text_encoder": hz.TEXT_ENCODERS,
        "loss": hz.LOSSES,
        "losses": hz.LOSSES,
        "hand_model": hz.HAND_MODELS,
        "prediction_filter": hz.PREDICTION_FILTERS,
        "dataset": hz.DATASETS,
        "datasets": hz.DATASETS,
        "pipeline": hz.TRANSFORMS,
        "transforms": hz.TRANSFORMS,
        "val_evaluator": hz.METRICS,
        "test_evaluator": hz.METRICS,
        "metrics": hz.METRICS,
        "default_hooks": hz.HOOKS,
        "custom_hooks": hz.HOOKS,
        "visualizer": hz.VISUALIZERS,
        "vis_backends": hz.VISBACKENDS,
        "train_cfg": hz.LOOPS,
        "val_cfg": hz.LOOPS,
        "test_cfg": hz.LOOPS,
        "optim_wrapper": hz.OPTIM_WRAPPERS,
        "log_processor": hz.LOG_PROCESSORS,
        "optimizer": hz.OPTIMIZERS,
        "param_scheduler": hz.PARAM_SCHEDULERS,
        "sampler": hz.DATA_SAMPLERS,
        "batch_sampler": hz.DATA_SAMPLERS,
        "collate_fn": hz.FUNCTIONS,
        "worker_init_fn": hz.FUNCTIONS,
        "init_cfg": hz.WEIGHT_INITIALIZERS,
    }


def _registry_of(path: tuple[str, ...]) -> Any | None:
    """The registry that the mapping at ``path`` belongs to, from the nearest key that says so."""
    known = _registries()
    if path[0] == "default_hooks":
        return known["default_hooks"]
    names = [key for key in path if not key.isdigit()]
    if names and names[-1] in known:
        return known[names[-1]]
    # A mapping of named parts, such as losses=dict(mesh=dict(type=...)).
    return known[names[-2]] if len(names) > 1 and names[-2] in ("losses", "metrics") else None


def _lookup(path: tuple[str, ...], kind: str) -> Any:
    """The class that ``kind`` names at ``path``; ConfigError if there is none anywhere."""
    from handzoo.registry import REGISTRIES, key_path

    registry = _registry_of(path)
    with key_path(*path):
        if registry is not None:
            return registry.get(kind)
        names: list[str] = []
        for candidate in REGISTRIES.values():
            candidate.import_from_location()
            if kind in candidate.module_dict:
                return candidate.module_dict[kind]
            names += candidate.module_dict
        if "/" in kind or "." in kind:
            return None  # a plugin's class or an importable name: its builder knows the registry
        raise ConfigError(
            f"{'.'.join(path)}.type: nothing is registered as {kind!r}. {suggest(kind, names)}"
        )


def accepted_arguments(path: tuple[str, ...], node: Any) -> tuple[set[str], bool]:
    """What may be added to the mapping ``node`` at ``path``: names, and whether any goes.

    Raises:
        ConfigError: the mapping's ``type`` is not registered.
    """
    from handzoo.registry import constructor_parameters

    if path and path[-1] in PLAIN_MAPPINGS:
        return set(PLAIN_MAPPINGS[path[-1]]), False
    if path and path[-1].endswith("_dataloader"):
        from torch.utils.data import DataLoader

        return set(constructor_parameters(DataLoader)[0]) | DATALOADER_EXTRAS, False
    kind = node.get("type") if isinstance(node, Mapping) else None
    if kind is None and path == ("optim_wrapper",):
        kind = "HandOptimWrapper"
    if kind is None and path == ("train_cfg",):
        kind = "HandTrainLoop"
    if kind is None:
        return set(), False
    cls = _lookup(path, kind) if isinstance(kind, str) else kind
    if cls is None:
        return set(), True
    parameters, open_ended = constructor_parameters(cls)
    registry = _registry_of(path)
    extras = CONSUMED.get(registry.name, frozenset()) if registry is not None else frozenset()
    return set(parameters) | set(extras) | {"type"}, open_ended


def check_config(cfg: Any) -> None:
    """Raise at the first thing in ``cfg`` that names nothing.

    Args:
        cfg: MMEngine ``Config`` with all bases and options merged.

    Raises:
        ConfigError: unknown top-level key, registry name or constructor argument, with its key
            path and the nearest valid name.
    """
    for key in cfg:
        if key not in top_level_keys() and not is_variable(key):
            raise ConfigError(
                f"{key}: unknown key at the top level of the config. "
                f"{suggest(key, top_level_keys())} Names that only help to write the config "
                "start with an underscore."
            )
    for path, node in _mappings(cfg):
        _check_mapping(path, node)


def _check_mapping(path: tuple[str, ...], node: Mapping[str, Any]) -> None:
    plain = path[-1] in PLAIN_MAPPINGS or path[-1].endswith("_dataloader")
    if "type" not in node and not plain and path not in (("optim_wrapper",), ("train_cfg",)):
        return
    known, any_keyword = accepted_arguments(path, node)
    if any_keyword:
        return
    for key in node:
        if key not in known and key not in _MERGE_KEYS:
            what = node.get("type", path[-1])
            raise ConfigError(
                f"{'.'.join((*path, key))}: {what} has no argument {key!r}. "
                f"{suggest(key, known)} It takes: {', '.join(sorted(known - {'type'}))}."
            )


def _mappings(cfg: Any) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Every mapping that the runner will read, with its key path, parents first."""
    stack: list[tuple[tuple[str, ...], Any]] = [
        ((key,), cfg[key]) for key in cfg if not is_variable(key)
    ]
    while stack:
        path, node = stack.pop(0)
        if isinstance(node, Mapping):
            yield path, node
            stack += [((*path, str(key)), value) for key, value in node.items()]
        elif isinstance(node, (list, tuple)):
            stack += [((*path, str(index)), value) for index, value in enumerate(node)]
