"""Hooks that a person sees, and that must not stop a run."""

from __future__ import annotations

import io
import logging
import sys

import numpy as np
import pytest
import torch
from mmengine.hooks import LoggerHook
from mmengine.visualization import Visualizer

from handzoo.engine.hooks import HandVisualizationHook, ProgressHook
from handzoo.engine.hooks.progress import harmless
from handzoo.engine.hooks.visualization import to_picture
from handzoo.engine.train import train
from handzoo.registry import VISUALIZERS


def test_failing_logger_is_reported_once_and_the_run_goes_on(make_config, monkeypatch, caplog):
    calls = []

    def fail(self, runner, *args, **kwargs):
        calls.append(1)
        raise RuntimeError("no space for logs")

    monkeypatch.setattr(LoggerHook, "after_train_iter", fail)
    cfg = make_config()
    from handzoo.engine.hooks import HandLoggerHook

    monkeypatch.setattr(HandLoggerHook, "after_train_iter", harmless(fail))
    with caplog.at_level(logging.WARNING, logger="handzoo"):
        result = train(cfg)
    assert result.iteration == 18 and len(calls) == 1
    assert caplog.text.count("no space for logs") == 1


class Terminal(io.StringIO):
    """What a program sees as a terminal."""

    def isatty(self) -> bool:
        return True


def test_terminal_shows_one_live_line_and_no_iteration_lines(make_config, monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    train(make_config(), epochs=1)
    monkeypatch.undo()
    text = screen.getvalue()
    assert "loss" in text and "lr" in text and "left" in text
    assert "Epoch(train)" not in text
    assert "Best so far" in text


def test_without_a_terminal_there_are_plain_lines(make_config, capsys):
    train(make_config(), epochs=1)
    out = capsys.readouterr().out
    assert "Epoch(train) [1][6/6]" in out and "\x1b[?25l" not in out
    assert "System environment" not in out and "Hooks will be executed" not in out


def test_live_line_gives_streams_back_even_if_training_fails(make_config, monkeypatch):
    from handzoo.errors import TrainingError

    before = sys.stdout
    cfg = make_config(model={"type": "ToyEstimator", "poison": list(range(18))})
    cfg.default_hooks.progress.enabled = True
    with pytest.raises(TrainingError):
        train(cfg)
    assert sys.stdout is before


def test_progress_switched_off_draws_nothing(make_config, capsys):
    cfg = make_config()
    cfg.default_hooks.progress = {"type": "ProgressHook", "enabled": False}
    train(cfg, max_iters=1)
    assert "left" not in capsys.readouterr().out
    assert ProgressHook(enabled=False)._progress is None


@VISUALIZERS.register_module()
class ToyVisualizer(Visualizer):
    """Remembers what it was asked to draw."""

    drawn: list[tuple[str, int, float]] = []

    def draw_sample(self, image: np.ndarray, data_sample) -> np.ndarray:
        assert image.dtype == np.uint8 and image.shape[2] == 3
        ToyVisualizer.drawn.append(("sample", 0, float(data_sample.pred)))
        return image

    def add_image(self, name: str, image: np.ndarray, step: int = 0) -> None:
        ToyVisualizer.drawn.append((name, step, 0.0))


def visual_config(make_config, **hook):
    cfg = make_config(visualizer={"type": "ToyVisualizer"})
    cfg.default_hooks.visualization = {"type": "HandVisualizationHook", **hook}
    ToyVisualizer.drawn.clear()
    return cfg


def test_first_hands_of_each_validation_are_drawn(make_config):
    result = train(visual_config(make_config, num_samples=5), epochs=2)
    names = [row[:2] for row in ToyVisualizer.drawn if row[0] != "sample"]
    assert names == [(f"val/hand_{i:02d}", step) for step in (6, 12) for i in range(5)]
    files = sorted(path.name for path in (result.work_dir / "vis").iterdir())
    assert len(files) == 10 and files[0] == "val_00_0000006.png"


def test_interval_leaves_validations_out(make_config):
    train(visual_config(make_config, num_samples=1, interval=2, out_dir=None), epochs=3)
    assert [row[1] for row in ToyVisualizer.drawn if row[0] != "sample"] == [6, 18]


def test_failing_visualizer_does_not_stop_training(make_config, monkeypatch):
    cfg = visual_config(make_config)

    def fail(self, image, data_sample):
        raise RuntimeError("no renderer")

    monkeypatch.setattr(ToyVisualizer, "draw_sample", fail)
    assert train(cfg, epochs=1).iteration == 6


def test_picture_has_channels_last():
    image = torch.arange(24, dtype=torch.uint8).reshape(3, 2, 4)
    picture = to_picture(image)
    assert picture.shape == (2, 4, 3) and picture[1, 2, 0] == image[0, 1, 2]
    assert HandVisualizationHook().num_samples == 8
