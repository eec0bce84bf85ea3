"""The weights that come along do what their card says, and more than any constant answer."""

from __future__ import annotations

import json

import numpy as np
import pytest

from handzoo import HandInferencer, cli
from handzoo.evaluation.evaluate_cli import evaluate_submission
from handzoo.evaluation.submission import Submission, read_points, read_submission
from handzoo.resources import ASSETS
from handzoo.zoo.weights import find_weights, read_card
from tools.mean_hand import mean_hand

NAME = "integral/integral_tiny_sample"
SAMPLE = ASSETS / "sample"
FIGURES = ("MPJPE", "MPVPE", "PA-MPJPE", "PA-MPVPE")


@pytest.fixture(scope="module")
def card():
    return read_card(find_weights(NAME).with_suffix(".json"))


@pytest.fixture(scope="module")
def submission(tmp_path_factory):
    """What `handzoo test NAME` predicts, without a checkpoint."""
    out = tmp_path_factory.mktemp("published")
    options = ["--cfg-options", "test_dataloader.num_workers=0"]
    options.append("test_dataloader.persistent_workers=False")
    assert cli.main(["test", NAME, "--out", str(out), "--device", "cpu", *options]) == 0
    return read_submission(out / "pred.json")


def mean_hands(frame):
    part = mean_hand(*(read_points(SAMPLE / f"training_{n}.json") for n in ("xyz", "verts")), frame)
    return Submission(*(np.repeat(points[None], 100, 0) for points in part))


def test_figures_are_the_cards(submission, card):
    measured = evaluate_submission(submission, SAMPLE).metrics
    for name in FIGURES:
        assert measured[name] == pytest.approx(card.metrics[name], abs=0.05), name


def test_it_beats_both_mean_hands_clearly(submission):
    ours = evaluate_submission(submission, SAMPLE).metrics
    for frame in ("camera", "hand"):
        theirs = evaluate_submission(mean_hands(frame), SAMPLE).metrics
        for name in FIGURES:
            assert ours[name] < 0.85 * theirs[name], (frame, name)


def test_card_says_where_they_are_from(card):
    assert card.model == NAME and card.licence == "Apache-2.0"
    assert card.stand_ins == ["hand_model", "data/freihand"]
    assert "bundled" in card.config
    text = json.dumps(card.__dict__, default=str)
    assert str(ASSETS.parent.parent) not in text  # of the machine that trained them


def test_three_lines_need_no_checkpoint(tmp_path, caplog):
    pictures = [SAMPLE / "evaluation" / "rgb" / f"{index:08d}.jpg" for index in range(20)]
    results = HandInferencer(NAME, device="cpu")(pictures)
    results.save(tmp_path)
    assert "untrained" not in caplog.text
    assert find_weights(NAME).name in (tmp_path / "predictions.json").read_text()
    assert len(list(tmp_path.glob("*.obj"))) == 20
    xyz, K = (read_points(SAMPLE / f"evaluation_{name}.json")[:20] for name in ("xyz", "K"))
    wanted = (xyz / xyz[..., 2:]) @ K.swapaxes(1, 2)
    found = np.stack([result.hands[0].joints2d for result in results])
    error = np.linalg.norm(found - wanted[..., :2], axis=-1)
    assert error.mean() < 16  # of 224 pixels
