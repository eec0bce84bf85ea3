"""What every hook must do, shown in a run of two epochs; see :mod:`handzoo.testing.tiny_run`.

A hook watches. One that is meant to change what is learned (averaged weights, frozen layers) says
``changes_training = True`` in its class, and then only the check that compares weights with those
of a run without it is left out.
"""

from __future__ import annotations

import pickle
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner.priority import get_priority

from handzoo.engine.compat import make_plain
from handzoo.engine.hooks.checkpoint import collect_state
from handzoo.engine.runner import HandRunner
from handzoo.registry import HOOKS
from handzoo.testing.configs import check_config
from handzoo.testing.drivers import ConformanceError, Context, require
from handzoo.testing.tiny_run import BATCH, SAMPLES, tiny_runner

_EPOCH = SAMPLES // BATCH  # iterations


def build_hook(config: Mapping[str, Any]) -> Hook:
    """Build a hook as the runner would, which takes ``priority`` out of the config."""
    arguments = {name: value for name, value in config.items() if name != "priority"}
    return HOOKS.build(arguments, key="custom_hooks[0]")


def _run(
    config: Mapping[str, Any] | None,
    context: Context,
    folder: str,
    read: Callable[[HandRunner, Hook | None], Any],
    **options: Any,
) -> Any:
    """Train (or test) with the hook, and return what ``read`` finds afterwards."""
    hook = None if config is None else build_hook(config)
    with tiny_runner(Path(folder), context.topology, hook, **options) as runner:
        try:
            runner.test() if options.get("test") else runner.train()
        except Exception as error:
            part = "a test" if options.get("test") else "training"
            raise ConformanceError(f"{part} fails: {type(error).__name__}: {error}") from error
        require(
            not getattr(hook, "failed", False),
            "it failed and switched itself off; the log says why",
        )
        return read(runner, hook)


def _weights(runner: HandRunner, hook: Hook | None = None) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in runner.model.state_dict().items()}


def _outcome(runner: HandRunner, hook: Hook | None) -> tuple[dict[str, torch.Tensor], dict]:
    return _weights(runner), dict(runner.val_evaluator.metrics[0].result.metrics)


def _contract(role: str, config: Mapping[str, Any], context: Context) -> None:
    """It is an MMEngine hook that goes through training with validation, and through a test.

    A test has no training loop: a hook must not ask the runner for one there.
    """
    hook = build_hook(config)
    require(isinstance(hook, Hook), f"derive {type(hook).__name__} from mmengine.hooks.Hook")
    try:
        get_priority(hook.priority)
    except (KeyError, TypeError, ValueError) as error:
        raise ConformanceError(
            f"priority {hook.priority!r} is none: use a name such as 'NORMAL' or a number up to 100"
        ) from error
    for test in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            _run(config, context, folder, lambda *_: None, test=test)


def _weights_unchanged(role: str, config: Mapping[str, Any], context: Context) -> None:
    """The run learns what it learns without the hook, unless that says changes_training = True.

    A hook that draws random numbers, leaves the model in eval mode or touches a batch is found
    here.
    """
    if getattr(build_hook(config), "changes_training", False):
        return
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        wanted = _run(None, context, first, _weights)
        found = _run(config, context, second, _weights)
    _same_weights(
        found, wanted, "differs from a run without the hook; declare changes_training = True "
        "if that is what it is for",
    )  # fmt: skip


def _resume(role: str, config: Mapping[str, Any], context: Context) -> None:
    """A run that stops after an epoch and is resumed ends as one that was not stopped.

    What the hook has to remember belongs into ``runner.message_hub`` or, by its
    ``before_save_checkpoint`` and ``after_load_checkpoint``, into the checkpoint.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "state.pth"

        def save(runner: HandRunner, hook: Hook | None) -> None:
            torch.save(collect_state(runner, runner.epoch, runner.iter), file)

        wanted, figures = _run(config, context, f"{folder}/whole", _outcome)
        _run(config, context, f"{folder}/first", save, max_iters=_EPOCH)
        found, figures_found = _run(config, context, f"{folder}/second", _outcome, resume=file)
    _same_weights(found, wanted, "differs after a resumption: the hook forgets something")
    require(
        figures_found == figures,
        "the last validation gives other figures after a resumption: the hook forgets something",
    )


def _state(role: str, config: Mapping[str, Any], context: Context) -> None:
    """What it leaves in checkpoints and in the message hub is plain, and so are its files.

    HandZoo loads weights-only; an object of another kind becomes text in a checkpoint and is lost.
    """

    def read(runner: HandRunner, hook: Hook | None) -> None:
        added: dict[str, Any] = {"state_dict": runner.model.state_dict(), "meta": {}}
        runner.call_hook("before_save_checkpoint", checkpoint=added)
        for name, value in {**runner.message_hub.runtime_info, **added}.items():
            lost = _lost(value, make_plain(value))
            require(
                lost is None,
                f"{name!r} holds a {lost}, which a checkpoint cannot keep: use numbers, text, "
                "tensors, lists and dictionaries",
            )
        for path in Path(runner.work_dir).rglob("*.pth"):
            try:
                torch.load(path, weights_only=True)
            except pickle.UnpicklingError as error:
                raise ConformanceError(f"{path.name} does not load weights-only: {error}") from None

    with tempfile.TemporaryDirectory() as folder:
        _run(config, context, folder, read)


def _lost(value: Any, plain: Any) -> str | None:
    """Name of the first type that became text on its way into a checkpoint."""
    if isinstance(value, Mapping):
        pairs = zip(value.values(), plain.values(), strict=True)
    elif isinstance(value, (list, tuple)):
        pairs = zip(value, plain, strict=True)
    else:
        kept = (str, Path, torch.device, torch.Size, np.generic)
        return type(value).__name__ if isinstance(plain, str) and not isinstance(value, kept) \
            else None  # fmt: skip
    return next((lost for pair in pairs if (lost := _lost(*pair)) is not None), None)


def _leftovers(role: str, config: Mapping[str, Any], context: Context) -> None:
    """After the run, the process is as before: signals, streams, gradients, no new threads."""
    before, threads = _surroundings(), _lasting_threads()
    with tempfile.TemporaryDirectory() as folder:
        after, lasting = _run(
            config, context, folder, lambda *_: (_surroundings(), _lasting_threads())
        )
    changed = [name for name, value in before.items() if after[name] != value]
    require(
        not changed,
        f"after the run {', '.join(changed)} is not as it was: undo it in after_train and "
        "after_run",
    )
    started = {thread.name for thread in lasting - threads}
    require(not started, f"threads keep the process alive after the run: {', '.join(started)}")


def _lasting_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if not thread.daemon}


def _surroundings() -> dict[str, Any]:
    return {
        "SIGINT": signal.getsignal(signal.SIGINT),
        "SIGTERM": signal.getsignal(signal.SIGTERM),
        "sys.stdout": sys.stdout,
        "sys.stderr": sys.stderr,
        "the folder of work": Path.cwd(),
        "grad mode": torch.is_grad_enabled(),
        "the default dtype": torch.get_default_dtype(),
    }


def _config(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Its config survives being dumped and read again; a wrong argument is refused by name."""
    check_config(config, build_hook)


def _same_weights(
    found: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], message: str
) -> None:
    require(set(found) == set(wanted), f"the model's keys {message}")
    for name, value in wanted.items():
        require(torch.equal(found[name], value), f"{name} {message}")


CHECKS: tuple[Callable[[str, Mapping[str, Any], Context], None], ...] = (
    _contract,
    _weights_unchanged,
    _resume,
    _state,
    _leftovers,
    _config,
)
