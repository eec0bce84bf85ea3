"""The registries: where a name in a config becomes a class.

Registries that MMEngine has (models, data sets, hooks, ...) are its children with the scope
``handzoo``, so that everything registered there works in its Runner. Each part of an estimator
has a registry of its own, so that a wrong kind of part is an error and not a surprise.

Three things differ from :class:`mmengine.Registry`:

- a name that nobody registered raises :class:`~handzoo.errors.ConfigError` with the key path in
  the config, the nearest names, and the plugins that were asked;
- an argument that a class does not take is found before the class is called;
- ``plugin/Name`` reaches a class of a plugin, and a plugin's code is imported only then. A bare
  name reaches a plugin's class when the core has no such name and one plugin alone provides it.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from mmengine import registry as mmengine_registry
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOG_PROCESSORS as MMENGINE_LOG_PROCESSORS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import VISBACKENDS as MMENGINE_VISBACKENDS
from mmengine.registry import VISUALIZERS as MMENGINE_VISUALIZERS
from mmengine.registry import Registry
from mmengine.utils import ManagerMixin

from handzoo.errors import ConfigError, PluginError, suggest

SCOPE = "handzoo"

_key_path: ContextVar[tuple[str, ...]] = ContextVar("handzoo_key_path", default=())


@contextlib.contextmanager
def key_path(*keys: str) -> Iterator[None]:
    """Say where in the config the work inside this block belongs; errors name it."""
    token = _key_path.set(_key_path.get() + tuple(key for key in keys if key))
    try:
        yield
    finally:
        _key_path.reset(token)


def current_key_path(*keys: str) -> str:
    """The key path that errors should name, such as ``model.mesh_head.type``."""
    return ".".join(_key_path.get() + tuple(key for key in keys if key))


def constructor_parameters(cls: Any) -> tuple[dict[str, inspect.Parameter], bool]:
    """What ``cls(...)`` takes, by name, and whether it takes any other keyword as well.

    A constructor with ``**kwargs`` hands them on to the next class of the method resolution
    order, so those are gathered too; only a class that ends in ``object`` or in a foreign
    package with ``**kwargs`` takes any keyword.
    """
    if not inspect.isclass(cls):
        parameters = dict(inspect.signature(cls).parameters)
        open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        return _named(parameters), open_ended
    gathered: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        if base is object:
            return gathered, False
        parameters = dict(inspect.signature(base.__init__).parameters)
        parameters.pop("self", None)
        for name, parameter in _named(parameters).items():
            gathered.setdefault(name, parameter)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return gathered, False
        if base.__module__.split(".")[0] == "torch":
            return gathered, False  # nn.Module takes **kwargs only to refuse them
    return gathered, True


def _named(parameters: Mapping[str, inspect.Parameter]) -> dict[str, inspect.Parameter]:
    positional_or_keyword = (
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.KEYWORD_ONLY,
    )
    return {name: p for name, p in parameters.items() if p.kind in positional_or_keyword}


def check_arguments(cls: Any, arguments: Mapping[str, Any], context: Mapping[str, Any]) -> None:
    """Raise if ``cls`` cannot be called with these keywords.

    Args:
        cls: class or function that is about to be built.
        arguments: keywords that the config gives.
        context: keywords that the caller would add where the config is silent.

    Raises:
        ConfigError: an argument is unknown, or a required one is missing.
    """
    parameters, open_ended = constructor_parameters(cls)
    name = getattr(cls, "__name__", str(cls))
    if not open_ended:
        for argument in arguments:
            if argument not in parameters:
                known = sorted(parameters)
                raise ConfigError(
                    f"{current_key_path(argument)}: {name} has no argument {argument!r}. "
                    f"{suggest(argument, known)} It takes: {', '.join(known) or 'nothing'}."
                )
    for argument, parameter in parameters.items():
        required = parameter.default is inspect.Parameter.empty
        if required and argument not in arguments and argument not in context:
            raise ConfigError(
                f"{current_key_path(argument)}: {name} needs the argument {argument!r}, "
                "and the config does not give it."
            )


class HandRegistry(Registry):
    """A registry whose errors say what is there, what was meant, and where in the config.

    Args:
        name: what is registered here, in the singular (``mesh_head``), as plugin manifests say it.
        parent: MMEngine's registry of the same kind, if it has one.
        locations: modules whose import registers the classes; imported on first use, in this order.
    """

    def __init__(
        self,
        name: str,
        parent: Registry | None = None,
        locations: tuple[str, ...] = (),
    ) -> None:
        super().__init__(name, parent=parent, scope=SCOPE, locations=list(locations))

    def import_from_location(self) -> None:
        """Import the modules that register the core's classes, once."""
        if self._imported:
            return
        self._imported = True  # first, since those modules may ask this registry themselves
        try:
            for location in self._locations:
                importlib.import_module(location)
        except BaseException:
            self._imported = False
            raise

    def names(self) -> list[str]:
        """Sorted names of all classes that can be built here, the core's and MMEngine's."""
        self.import_from_location()
        found = set(self.module_dict)
        parent = self.parent
        while parent is not None:
            found.update(parent.module_dict)
            parent = parent.parent
        return sorted(found)

    def get(self, key: str) -> Any:
        """Return the class registered as ``key``.

        Args:
            key: ``Name``, ``handzoo.Name``, ``plugin/Name``, or for registries with an MMEngine
                parent a name that MMEngine knows (``torch.optim.AdamW``).

        Raises:
            ConfigError: nothing of that name is registered; says what is near.
            PluginError: a plugin provides it and cannot be used; chained to the cause.
        """
        if not isinstance(key, str):
            raise ConfigError(
                f"{current_key_path('type')}: a {self.name} is named by a string, not {key!r}."
            )
        self.import_from_location()
        if "/" in key:
            return self._get_from_plugin(key)
        scope, bare = self.split_scope_key(key)
        if scope in (None, SCOPE) and bare in self._module_dict:
            return self._module_dict[bare]
        if self.parent is not None:
            with contextlib.suppress(RuntimeError):  # MMEngine's way to say "not found"
                found = super().get(key)
                if found is not None:
                    return found
        return self._get_from_plugin(key)

    def _get_from_plugin(self, key: str) -> Any:
        from handzoo import plugins

        try:
            found = plugins.resolve(self.name, key)
        except (ConfigError, PluginError) as error:
            place = current_key_path("type")
            raise type(error)(f"{place}: {error}") from error.__cause__
        if found is not None:
            return found
        hint = suggest(key, [*self.names(), *plugins.provided_names(self.name)])
        tried = plugins.describe_tried(self.name)
        raise ConfigError(
            f"{current_key_path('type')}: no {self.name} is registered as {key!r}. {hint} "
            f"There are: {', '.join(self._short_list()) or 'none'}. {tried}"
        )

    def _short_list(self, limit: int = 30) -> list[str]:
        names = sorted(self.module_dict) or self.names()
        return names if len(names) <= limit else [*names[:limit], "..."]

    def build(self, cfg: Mapping[str, Any], *, key: str = "", **context: Any) -> Any:
        """Build the object that ``cfg`` describes.

        Args:
            cfg: a mapping with ``type`` and the constructor's arguments. Something that is not
                a mapping is returned as it is, so that ready-made objects can be passed too.
            key: this object's key in its parent's config, for error messages.
            **context: what the caller knows and the config need not repeat (``topology``,
                ``feature_channels``, ...). The config wins, and what the constructor does not
                take is left out. ``default_args`` is accepted as MMEngine's name for the same.

        Raises:
            ConfigError: unknown type, unknown or missing argument, named with its key path.
        """
        context = {**(context.pop("default_args", None) or {}), **context}
        with key_path(key):
            if not isinstance(cfg, Mapping):
                if isinstance(cfg, (str, type(None), list, tuple)):
                    raise ConfigError(
                        f"{current_key_path()}: expected dict(type=...) for a {self.name}, "
                        f"got {cfg!r}."
                    )
                return cfg
            arguments = dict(cfg)
            kind = arguments.pop("type", context.pop("type", None))
            arguments.pop("_scope_", None)
            if kind is None:
                raise ConfigError(
                    f"{current_key_path('type')}: a {self.name} needs a 'type'. "
                    f"There are: {', '.join(self._short_list())}."
                )
            cls = self.get(kind) if isinstance(kind, str) else kind
            check_arguments(cls, arguments, context)
            parameters, open_ended = constructor_parameters(cls)
            for name, value in context.items():
                if name in parameters:
                    arguments.setdefault(name, value)
            if inspect.isclass(cls) and issubclass(cls, ManagerMixin):
                return cls.get_instance(**arguments)
            return cls(**arguments)


# The estimator and its parts.
ESTIMATORS = HandRegistry(
    "estimator", parent=MMENGINE_MODELS, locations=("mmengine.model", "handzoo.models.estimators")
)
BACKBONES = HandRegistry("backbone", locations=("handzoo.models.backbones",))
NECKS = HandRegistry("neck", locations=("handzoo.models.necks",))
QUERY_HEADS = HandRegistry("query_head", locations=("handzoo.models.query_heads",))
MESH_HEADS = HandRegistry("mesh_head", locations=("handzoo.models.mesh_heads",))
PRIORS = HandRegistry("prior", locations=("handzoo.models.priors",))
GUIDANCES = HandRegistry("guidance", locations=("handzoo.models.guidance",))
TEXT_ENCODERS = HandRegistry("text_encoder", locations=("handzoo.models.text_encoders",))
LOSSES = HandRegistry("loss", locations=("handzoo.models.losses",))
HAND_MODELS = HandRegistry("hand_model", locations=("handzoo.models.hand_models",))
PREDICTION_FILTERS = HandRegistry("prediction_filter", locations=("handzoo.apis.filters",))
CONVERTERS = HandRegistry("converter", locations=("handzoo.zoo.convert",))
RESOURCE_RESOLVERS = HandRegistry("resource_resolver")

# Children of MMEngine's, used by its Runner. MMEngine registers its classes when the package that
# holds them is imported, so that package comes first.
DATASETS = HandRegistry(
    "dataset", parent=MMENGINE_DATASETS, locations=("mmengine.dataset", "handzoo.datasets")
)
TRANSFORMS = HandRegistry(
    "transform", parent=MMENGINE_TRANSFORMS, locations=("handzoo.datasets.transforms",)
)
METRICS = HandRegistry(
    "metric", parent=MMENGINE_METRICS, locations=("mmengine.evaluator", "handzoo.evaluation")
)
HOOKS = HandRegistry(
    "hook", parent=MMENGINE_HOOKS, locations=("mmengine.hooks", "handzoo.engine.hooks")
)
VISUALIZERS = HandRegistry(
    "visualizer",
    parent=MMENGINE_VISUALIZERS,
    locations=("mmengine.visualization", "handzoo.visualization"),
)
VISBACKENDS = HandRegistry(
    "vis_backend", parent=MMENGINE_VISBACKENDS, locations=("mmengine.visualization",)
)
LOOPS = HandRegistry(
    "loop", parent=MMENGINE_LOOPS, locations=("mmengine.runner", "handzoo.engine.registered")
)
OPTIM_WRAPPERS = HandRegistry(
    "optim_wrapper",
    parent=MMENGINE_OPTIM_WRAPPERS,
    locations=("mmengine.optim", "handzoo.engine.registered"),
)
LOG_PROCESSORS = HandRegistry(
    "log_processor",
    parent=MMENGINE_LOG_PROCESSORS,
    locations=("mmengine.runner", "handzoo.engine.registered"),
)

# What MMEngine's Runner builds from configs and HandZoo adds little to. Without a child of scope
# ``handzoo`` each such build would warn that the scope is unknown.
DATA_SAMPLERS = HandRegistry(
    "data_sampler", parent=mmengine_registry.DATA_SAMPLERS, locations=("handzoo.engine.registered",)
)
OPTIMIZERS = HandRegistry("optimizer", parent=mmengine_registry.OPTIMIZERS)
OPTIM_WRAPPER_CONSTRUCTORS = HandRegistry(
    "optim_wrapper_constructor", parent=mmengine_registry.OPTIM_WRAPPER_CONSTRUCTORS
)
PARAM_SCHEDULERS = HandRegistry("param_scheduler", parent=mmengine_registry.PARAM_SCHEDULERS)
FUNCTIONS = HandRegistry("function", parent=mmengine_registry.FUNCTIONS)
EVALUATORS = HandRegistry("evaluator", parent=mmengine_registry.EVALUATOR)
MODEL_WRAPPERS = HandRegistry("model_wrapper", parent=mmengine_registry.MODEL_WRAPPERS)
WEIGHT_INITIALIZERS = HandRegistry(
    "weight_initializer", parent=mmengine_registry.WEIGHT_INITIALIZERS
)

# Role in a plugin's manifest -> registry.
REGISTRIES: dict[str, HandRegistry] = {
    registry.name: registry
    for registry in (
        ESTIMATORS,
        BACKBONES,
        NECKS,
        QUERY_HEADS,
        MESH_HEADS,
        PRIORS,
        GUIDANCES,
        TEXT_ENCODERS,
        LOSSES,
        HAND_MODELS,
        PREDICTION_FILTERS,
        CONVERTERS,
        RESOURCE_RESOLVERS,
        DATASETS,
        TRANSFORMS,
        METRICS,
        HOOKS,
        VISUALIZERS,
        VISBACKENDS,
        LOOPS,
        OPTIM_WRAPPERS,
        LOG_PROCESSORS,
    )
}
