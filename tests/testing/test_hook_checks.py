"""Each check of a hook finds its breach, and names it; right hooks pass."""

import signal
import threading
from pathlib import Path

import pytest
import torch
from breaches import failures, registering
from mmengine.hooks import Hook

from handzoo.engine.hooks.progress import harmless


@pytest.fixture
def register(monkeypatch):
    return registering(monkeypatch, "hook")


class Good(Hook):
    """Remembers in the message hub how low the loss was."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        lowest = runner.message_hub.runtime_info.get("lowest", float("inf"))
        runner.message_hub.update_info("lowest", min(lowest, float(outputs["loss"])))


class HalvesRate(Hook):
    """Trains slower from epoch to epoch, and remembers how slow in the checkpoint."""

    changes_training = True
    factor = 1.0

    def after_train_epoch(self, runner):
        self.factor /= 2

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        for group in runner.optim_wrapper.param_groups:
            group["lr"] = 0.01 * self.factor

    def before_save_checkpoint(self, runner, checkpoint):
        checkpoint["factor"] = self.factor

    def after_load_checkpoint(self, runner, checkpoint):
        self.factor = checkpoint["factor"]


class Undeclared(HalvesRate):
    changes_training = False


class Forgets(HalvesRate):
    def before_save_checkpoint(self, runner, checkpoint):
        checkpoint["factor"] = 1.0


class DrawsRandom(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        torch.rand(1)


class LeavesEval(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        runner.model.eval()


class AveragesInSecret(Hook):
    """Validates with half the weights of the last epoch, which a resumed run does not know."""

    last = None

    def before_val_epoch(self, runner):
        self.now = {name: value.clone() for name, value in runner.model.state_dict().items()}
        for name, value in runner.model.state_dict().items():
            if self.last is not None and value.is_floating_point():
                value.lerp_(self.last[name], 0.5)
        self.last = self.now

    def after_val_epoch(self, runner, metrics=None):
        runner.model.load_state_dict(self.now)


class Note:
    def __init__(self, text):
        self.text = text


class KeepsObject(Hook):
    def after_train_epoch(self, runner):
        runner.message_hub.update_info("notes", [Note("an epoch")])


class SavesModel(Hook):
    def after_train(self, runner):
        torch.save(runner.model, Path(runner.work_dir) / "model.pth")


class Fails(Hook):
    def after_val_epoch(self, runner, metrics=None):
        raise KeyError("no_such_metric")


class NeedsTraining(Hook):
    def before_test_epoch(self, runner):
        runner.train_loop.max_epochs  # noqa: B018


class SwitchesItselfOff(Hook):
    @harmless
    def before_run(self, runner):
        raise RuntimeError("no display")


class NoHook:
    priority = "NORMAL"


class NoPriority(Hook):
    priority = "URGENT"


class KeepsSignal(Hook):
    def before_train(self, runner):
        signal.signal(signal.SIGTERM, lambda *_: None)


class KeepsThread(Hook):
    def before_train(self, runner):
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.done.wait, args=(2,), name="watcher")
        self.thread.start()


def loose(**anything):
    """Takes any argument, as a function may that hands on what it is given."""
    return Good()


@pytest.mark.parametrize(
    ("cls", "check", "words"),
    [
        (NoHook, "contract", "derive NoHook"),
        (NoPriority, "contract", "URGENT"),
        (Fails, "contract", "training fails: KeyError"),
        (NeedsTraining, "contract", "a test fails"),
        (SwitchesItselfOff, "contract", "switched itself off"),
        (Undeclared, "weights_unchanged", "declare changes_training"),
        (DrawsRandom, "weights_unchanged", "declare changes_training"),
        (LeavesEval, "weights_unchanged", "declare changes_training"),
        (Forgets, "resume", "the hook forgets something"),
        (AveragesInSecret, "resume", "other figures after a resumption"),
        (KeepsObject, "state", "'notes' holds a Note"),
        (SavesModel, "state", "model.pth does not load"),
        (KeepsSignal, "leftovers", "SIGTERM"),
        (KeepsThread, "leftovers", "threads"),
        (loose, "config", "unknown argument is accepted"),
    ],
)
def test_each_breach_is_found(register, cls, check, words):
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert words in failures("hook", register(cls), check)[check]
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("cls", [Good, HalvesRate])
def test_right_hooks_pass(register, cls):
    assert failures("hook", register(cls)) == {}
