"""Testing a checkpoint: figures, files, provenance."""

from __future__ import annotations

import json

import pytest
import torch

from handzoo import cli
from handzoo.engine.build import build_estimator, load_estimator
from handzoo.engine.config import load_config
from handzoo.engine.test import test as run_test
from handzoo.engine.train import train
from handzoo.errors import CheckpointError, ConfigError
from handzoo.evaluation.results import EvaluationResult, file_sha256

SMALL = {
    "model.guidance": None,
    "test_dataloader.num_workers": 0,
    "test_dataloader.batch_size": 4,
    "test_dataloader.num_batch_per_epoch": 2,
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """(config, checkpoint) of an untrained small CLIP-Hand, on eight hands of the sample."""
    cfg = load_config("cliphand_tiny_sample", SMALL)
    path = tmp_path_factory.mktemp("tiny") / "random.pth"
    torch.manual_seed(0)
    about = {
        "model": "cliphand_tiny_sample",
        "resources": [{"name": "data/freihand", "status": "stand-in"}],
    }
    meta = {"handzoo": about, "epoch": 1, "iter": 5}
    torch.save({"state_dict": build_estimator(cfg).state_dict(), "meta": meta}, path)
    return cfg, path


def test_real_model_gives_figures_a_submission_and_their_provenance(tiny, tmp_path):
    cfg, checkpoint = tiny
    (result,) = run_test(cfg, checkpoint, out=tmp_path / "out", show_dir=tmp_path / "show",
                         show_samples=2)  # fmt: skip
    assert {"PA-MPJPE", "PA-MPVPE", "PA-F@5", "MPJPE"} <= set(result.metrics)
    assert result.num_samples == 8 and result.model == "cliphand_tiny_sample"
    assert result.checkpoint == {"file": "random.pth", "sha256": file_sha256(checkpoint)}
    assert "the weights were trained with stand-ins: data/freihand" in result.notes
    assert {row["name"] for row in result.resources} >= {"hand_model", "data/freihand"}
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"metrics.json", "pred.json", "pred.zip", "per_sample.npz"} <= names
    written = EvaluationResult.load(tmp_path / "out")
    assert written.metrics == pytest.approx(result.metrics)
    assert written.checkpoint == result.checkpoint
    content = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert len(content["config_sha256"]) == 64 and content["plugins"] == []
    assert len(list((tmp_path / "show").glob("test_*.png"))) == 2


def test_figures_do_not_depend_on_the_batch_size(tiny, tmp_path):
    cfg, checkpoint = tiny
    (four,) = run_test(cfg, checkpoint, out=tmp_path / "four")
    cfg = load_config("cliphand_tiny_sample", {**SMALL, "test_dataloader.num_batch_per_epoch": 4})
    (two,) = run_test(cfg, checkpoint, out=tmp_path / "two", batch_size=2)
    assert two.metrics == pytest.approx(four.metrics, abs=1e-2)


def test_command_prints_tables_and_refuses_another_models_weights(tiny, tmp_path, capsys):
    _, checkpoint = tiny
    options = ["--cfg-options", *(f"{key}={value}" for key, value in SMALL.items())]
    out = ["--out", str(tmp_path / "out")]
    assert cli.main(["test", "cliphand_tiny_sample", str(checkpoint), *out, *options]) == 0
    text = capsys.readouterr().out
    assert "PA-MPJPE" in text and "hand_model" in text and "stand-ins" in text
    assert cli.main(["test", "cliphand_s12_freihand", str(checkpoint), *out, *options]) == 2
    error = capsys.readouterr().err
    assert "cliphand_tiny_sample and does not fit cliphand_s12_freihand" in error
    assert "backbone." in error


def test_without_a_checkpoint_only_a_model_with_published_weights_is_tested(capsys):
    assert cli.main(["test", "cliphand_tiny_sample"]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "no published weights of cliphand_tiny_sample: name a checkpoint" in error


def test_training_only_branches_may_be_missing_at_inference(tiny, tmp_path):
    cfg, checkpoint = tiny
    content = torch.load(checkpoint, weights_only=True)
    content["state_dict"]["guidance.project.weight"] = torch.ones(2)
    torch.save(content, tmp_path / "with.pth")
    estimator, _ = load_estimator(cfg, tmp_path / "with.pth")
    assert not estimator.training
    content["state_dict"]["somewhere.weight"] = torch.ones(2)
    torch.save(content, tmp_path / "more.pth")
    with pytest.raises(CheckpointError, match="somewhere.weight"):
        load_estimator(cfg, tmp_path / "more.pth")


def test_checkpoint_of_a_missing_plugin_says_what_to_install(tiny, tmp_path):
    cfg, checkpoint = tiny
    content = torch.load(checkpoint, weights_only=True)
    content["meta"]["handzoo"]["plugins"] = [{"name": "lab_head", "distribution": "lab-head"}]
    content["state_dict"]["mesh_head.lab"] = torch.ones(1)
    torch.save(content, tmp_path / "lab.pth")
    with pytest.raises(CheckpointError, match="plugins that are not here: lab-head"):
        load_estimator(cfg, tmp_path / "lab.pth")


def test_metrics_of_others_are_written_too(make_config, tmp_path):
    run = train(make_config("run"), epochs=1)
    cfg = make_config("run")
    assert run_test(cfg, run.work_dir / "best.pth", out=tmp_path / "out") == []
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert written["metrics"] == run.metrics


def test_config_without_a_test_set_is_refused(make_config):
    cfg = make_config(val_dataloader=None, val_cfg=None, val_evaluator=None)
    with pytest.raises(ConfigError, match="test_dataloader: missing in toy"):
        run_test(cfg, "x.pth")
