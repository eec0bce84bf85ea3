"""Whole runs of the toy model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from multiprocessing import active_children

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from handzoo.engine.checkpoint import read_checkpoint
from handzoo.engine.train import newest_checkpoint, prepare, train
from handzoo.errors import CheckpointError, ConfigError, ResourceError, TrainingError
from handzoo.registry import HOOKS


def weights(path) -> dict[str, torch.Tensor]:
    return read_checkpoint(path).state_dict


def assert_same_state(first, second) -> None:
    """Weights, buffers, optimiser and schedulers of two checkpoints are bit for bit equal."""
    one, two = read_checkpoint(first), read_checkpoint(second)
    assert one.state_dict.keys() == two.state_dict.keys()
    for key, value in one.state_dict.items():
        assert torch.equal(value, two.state_dict[key]), key
    for index, state in one.content["optimizer"]["state"].items():
        for key, value in state.items():
            assert torch.equal(value, two.content["optimizer"]["state"][index][key]), key
    for a, b in zip(one.content["param_schedulers"], two.content["param_schedulers"], strict=True):
        assert a == b
    assert (one.meta["epoch"], one.meta["iter"]) == (two.meta["epoch"], two.meta["iter"])


def test_run_leaves_checkpoints_figures_and_resources(make_config):
    cfg = make_config(model={"type": "ToyEstimator", "resource": "hand_model"})
    result = train(cfg)
    assert (result.stop_reason, result.epoch, result.iteration) == ("finished", 3, 18)
    found = {path.name for path in result.work_dir.iterdir()}
    assert {"last.pth", "best.pth", "metrics.json", "resources.json"} <= found
    written = json.loads((result.work_dir / "metrics.json").read_text())
    assert [row["epoch"] for row in written["history"]] == [1, 2, 3]
    assert written["metrics"] == result.metrics
    about = read_checkpoint(result.work_dir / "last.pth").meta["handzoo"]
    assert about["model"] == "toy" and about["seed"] == 7
    assert about["resources"][0]["name"] == "hand_model"
    assert about["resources"] == json.loads((result.work_dir / "resources.json").read_text())
    assert "ToyEstimator" in about["config"] and about["environment"]["versions"]["torch"]


def test_best_checkpoint_is_that_of_the_lowest_error(make_config):
    result = train(make_config())
    history = json.loads((result.work_dir / "metrics.json").read_text())["history"]
    best = min(history, key=lambda row: row["metrics"]["toy/PA-MPJPE"])
    saved = read_checkpoint(result.work_dir / "best.pth")
    assert saved.meta["metrics"] == best["metrics"]
    assert saved.meta["epoch"] == best["epoch"]
    assert "optimizer" not in saved.content


@pytest.mark.parametrize("stop", [4, 6, 8], ids=["within epoch 1", "after epoch 1", "in epoch 2"])
def test_resumed_run_equals_the_uninterrupted_one(make_config, stop):
    whole = train(make_config("whole"))
    train(make_config("parts"), max_iters=stop)
    second = train(make_config("parts"), resume="auto")
    assert second.iteration == 18
    assert_same_state(whole.work_dir / "last.pth", second.work_dir / "last.pth")
    assert second.metrics == whole.metrics


@pytest.mark.parametrize("stop", [5, 12, 18], ids=["in epoch 1", "after epoch 2", "at the end"])
def test_resuming_with_more_epochs_follows_the_longer_schedule(make_config, stop):
    """MMEngine would keep the schedule of the checkpoint, at whose end a cosine is zero."""
    cosine = dict(type="CosineAnnealingLR", by_epoch=True, T_max=3, convert_to_iter_based=True)
    warm_up = dict(type="LinearLR", start_factor=0.1, by_epoch=False, end=4)
    steps = dict(type="MultiStepLR", milestones=[2], gamma=0.5, by_epoch=True)

    def rates(name: str, epochs: int, **options: object) -> list[float]:
        cfg = make_config(name, param_scheduler=[warm_up, cosine, steps])
        run = train(cfg, epochs=epochs, **options)
        return [group["lr"] for group in read_checkpoint(run.work_dir / "last.pth").content[
            "optimizer"]["param_groups"]]  # fmt: skip

    whole = rates("whole", 6, max_iters=30)
    short = rates("parts", 3, max_iters=stop)
    if stop == 18:
        assert short[0] < 1e-4
    longer = rates("parts", 6, resume="auto", max_iters=30)
    assert longer == pytest.approx(whole, rel=1e-9) and longer[0] > 1e-4


def test_resumption_is_exact_with_persistent_workers(make_config):
    def config(name: str) -> Config:
        cfg = make_config(name)
        cfg.train_dataloader.update(num_workers=1, persistent_workers=True)
        return cfg

    whole = train(config("whole"), epochs=2)
    train(config("parts"), epochs=2, max_iters=7)
    second = train(config("parts"), epochs=2, resume="auto")
    assert_same_state(whole.work_dir / "last.pth", second.work_dir / "last.pth")


def test_same_seed_gives_the_same_run_and_another_seed_does_not(make_config):
    first, same, other = (
        train(make_config(name), epochs=1, seed=seed)
        for name, seed in zip("abc", (1, 1, 2), strict=True)
    )
    assert_same_state(first.work_dir / "last.pth", same.work_dir / "last.pth")
    a, b = (weights(run.work_dir / "last.pth")["head.weight"] for run in (first, other))
    assert not torch.equal(a, b)


@HOOKS.register_module()
class SignalHook(Hook):
    """Sends a signal to this process and its workers at an iteration, as a terminal does."""

    def __init__(self, at: int, number: int) -> None:
        self.at, self.number = at, number

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if runner.iter + 1 == self.at:
            everyone = [str(os.getpid()), *(str(p.pid) for p in active_children())]
            # By another process: workers obey their parent.
            subprocess.run(["kill", f"-{self.number}", *reversed(everyone)], check=True)
            time.sleep(0.5)  # a worker that dies of it is noticed by now


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_saves_and_the_run_goes_on_from_there(make_config, number, workers):
    before = signal.getsignal(number)
    cut = make_config("cut", custom_hooks=[{"type": "SignalHook", "at": 8, "number": int(number)}])
    cut.train_dataloader.update(num_workers=workers, persistent_workers=workers > 0)
    result = train(cut)
    assert result.interrupted and result.stop_reason == signal.Signals(number).name
    assert result.iteration == 8
    assert signal.getsignal(number) is before
    assert newest_checkpoint(result.work_dir).name == "interrupt.pth"
    whole = train(make_config("whole"))
    second = train(make_config("cut"), resume="auto")
    assert_same_state(whole.work_dir / "last.pth", second.work_dir / "last.pth")


def test_time_budget_ends_training_with_a_validation(make_config):
    result = train(make_config(), time_budget=1e-6)
    assert (result.stop_reason, result.iteration) == ("time budget", 1)
    assert "toy/PA-MPJPE" in result.metrics
    assert read_checkpoint(result.work_dir / "last.pth").meta["iter"] == 1


def test_iteration_limit_ends_training_with_a_validation(make_config):
    result = train(make_config(), max_iters=8)
    assert (result.stop_reason, result.epoch, result.iteration) == ("iteration limit", 1, 8)
    history = json.loads((result.work_dir / "metrics.json").read_text())["history"]
    assert [row["iter"] for row in history] == [6, 8]


def test_single_bad_steps_are_left_out(make_config):
    result = train(make_config(model={"type": "ToyEstimator", "poison": [2, 5]}))
    assert result.iteration == 18
    saved = weights(result.work_dir / "last.pth")
    assert all(torch.isfinite(value).all() for value in saved.values())


def test_bad_step_changes_no_weight(make_config):
    from handzoo.engine.optim import HandOptimWrapper

    layer = torch.nn.Linear(2, 1)
    wrapper = HandOptimWrapper(torch.optim.SGD(layer.parameters(), lr=1.0))
    before = layer.weight.detach().clone()
    wrapper.update_params(layer(torch.ones(1, 2)).sum() * float("inf"))
    assert torch.equal(layer.weight, before)
    assert (wrapper.skipped, wrapper.skipped_in_a_row) == (1, 1)
    wrapper.update_params(layer(torch.ones(1, 2)).sum())
    assert not torch.equal(layer.weight, before)
    assert (wrapper.skipped, wrapper.skipped_in_a_row) == (1, 0)


def test_many_bad_steps_end_the_run_and_name_loss_and_samples(make_config):
    cfg = make_config(model={"type": "ToyEstimator", "poison": list(range(4, 18))})
    with pytest.raises(TrainingError, match=r"loss_fit.*samples \d+, \d+.*3 steps in a row"):
        train(cfg)


def test_amp_autocasts_to_bfloat16_on_a_cpu(make_config, monkeypatch):
    import toy

    seen = set()
    forward = toy.ToyEstimator.forward

    def spy(self, *args, **kwargs):
        mode = kwargs.get("mode")
        seen.add((mode, torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")))
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(toy.ToyEstimator, "forward", spy)
    result = train(make_config(), amp=True, max_iters=3)
    assert ("loss", True, torch.bfloat16) in seen
    assert not any(enabled for mode, enabled, _ in seen if mode == "predict")
    assert weights(result.work_dir / "last.pth")["head.weight"].dtype == torch.float32


def test_amp_run_resumes_exactly(make_config):
    whole = train(make_config("whole"), amp=True, epochs=2)
    train(make_config("parts"), amp=True, epochs=2, max_iters=7)
    second = train(make_config("parts"), amp=True, epochs=2, resume="auto")
    assert_same_state(whole.work_dir / "last.pth", second.work_dir / "last.pth")


def test_dry_run_builds_all_and_leaves_nothing(make_config, tmp_path):
    result = train(make_config(), dry_run=True)
    assert (result.stop_reason, result.iteration) == ("dry run", 1)
    assert list(tmp_path.iterdir()) == []


def test_require_real_refuses_a_stand_in(make_config, monkeypatch, tmp_path):
    monkeypatch.setenv("HANDZOO_DATA", str(tmp_path / "nowhere"))
    monkeypatch.delenv("HANDZOO_MANO", raising=False)
    cfg = make_config(model={"type": "ToyEstimator", "resource": "hand_model"})
    with pytest.raises(ResourceError, match="hand_model is stand-in"):
        train(cfg, require_real=True)


def test_epochs_move_milestones_in_proportion(make_config):
    cfg = make_config()
    cfg.train_cfg.max_epochs = 120
    cfg.param_scheduler[1].milestones = [40, 80]
    changed = prepare(cfg, epochs=30)
    assert changed.train_cfg.max_epochs == 30
    assert changed.param_scheduler[1].milestones == [10, 20]
    assert changed.param_scheduler[0].end == 4  # counts iterations
    assert cfg.train_cfg.max_epochs == 120


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"epochs": 0}, "--epochs"),
        ({"batch_size": -1}, "--batch-size"),
        ({"max_iters": 0}, "--max-iters"),
        ({"time_budget": -1.0}, "--time-budget"),
    ],
)
def test_nonsense_lengths_are_refused(make_config, options, words):
    with pytest.raises(ConfigError, match=words):
        prepare(make_config(), **options)


def test_resume_from_weights_alone_is_refused(make_config):
    first = train(make_config(), max_iters=6)
    with pytest.raises(CheckpointError, match="holds weights only.*last.pth"):
        train(make_config(), resume=str(first.work_dir / "best.pth"))


def test_resume_from_another_model_names_both(make_config):
    first = train(make_config("first"), max_iters=1)
    other = make_config("second", model_name="wide_toy", model={"type": "ToyEstimator", "width": 9})
    with pytest.raises(CheckpointError, match="made with toy and does not fit wide_toy.*body.0"):
        train(other, resume=str(first.work_dir / "last.pth"))


def test_resume_from_nothing_starts_anew_and_from_a_missing_file_fails(make_config):
    assert train(make_config(), resume="auto", max_iters=1).iteration == 1
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        train(make_config(), resume="nowhere.pth")


def test_load_from_is_strict(make_config):
    first = train(make_config("first"), max_iters=1)
    other = make_config("second", model={"type": "ToyEstimator", "width": 9})
    other.load_from = str(first.work_dir / "last.pth")
    with pytest.raises(CheckpointError, match="shapes differ"):
        train(other)
