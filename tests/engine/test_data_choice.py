"""--dataset: any model of the zoo on any data set of the zoo."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "datasets"))

from fabricate import make_dexter_object, make_rhd

from handzoo.engine.config import load_config
from handzoo.engine.data_choice import dataset_names, model_input_size
from handzoo.engine.test import test as run_test
from handzoo.engine.train import train
from handzoo.errors import ConfigError
from handzoo.zoo.index import list_models

SMALL = [
    "model.backbone.depths=[1,1,1,1]",
    "model.mesh_head.channels=[32,16]",
    "model.mesh_head.feedforward=[32,16]",
    "model.guidance=None",
]
MODELS = list_models("*freihand", exclude="*table5*")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dataset", ["freihand", "rhd", "dexter_object"])
def test_every_model_goes_with_every_data_set(model, dataset):
    """The data set's classes and metrics, the model's batch size; checked like any config."""
    own, cfg = load_config(model), load_config(model, dataset=dataset)
    wanted = {"freihand": "FreiHAND", "rhd": "RHD", "dexter_object": "DexterObject"}[dataset]
    assert cfg.test_dataloader.dataset.type == wanted
    assert cfg.test_dataloader.batch_size == own.test_dataloader.batch_size
    assert cfg.model == own.model
    (metric,) = cfg.test_evaluator
    assert metric["input_size"] == model_input_size(cfg) == 224
    if dataset == "dexter_object":
        assert cfg.train_dataloader is None
    else:
        assert cfg.train_dataloader.dataset.type == wanted


def test_the_models_input_size_and_way_to_joints_stay():
    cfg = load_config("cliphand_tiny_sample", dataset="rhd")
    sizes = {
        step.get("size")
        for part in ("train", "val", "test")
        for step in cfg[f"{part}_dataloader"].dataset.pipeline
        if "Affine" in step.type
    }
    assert sizes == {128} and cfg.test_evaluator[0]["input_size"] == 128
    options = ["test_evaluator.joints_from='mesh'"]
    same = load_config("cliphand_tiny_sample", options)
    assert same.test_evaluator.joints_from == "mesh"
    # An option is about the data that were chosen.
    cfg = load_config("cliphand_tiny_sample", ["test_dataloader.dataset.hand=left"], dataset="rhd")
    assert cfg.test_dataloader.dataset.hand == "left"


def test_its_own_data_set_keeps_the_models_pipeline():
    own = load_config("cliphand_tiny_sample")
    cfg = load_config("cliphand_tiny_sample", dataset="freihand")
    assert cfg.train_dataloader.dataset.pipeline == own.train_dataloader.dataset.pipeline


def test_unknown_and_useless_data_are_named():
    with pytest.raises(ConfigError, match=r"'rdh': unknown. Did you mean 'rhd'.*freihand"):
        load_config("cliphand_tiny_sample", dataset="rdh")
    assert "hagrid" in dataset_names()
    with pytest.raises(ConfigError, match="hagrid: has no .*_evaluator"):
        load_config("cliphand_tiny_sample", dataset="hagrid")


def test_trains_on_rhd_and_is_tested_there_and_on_finger_tips(tmp_path, monkeypatch):
    monkeypatch.setenv("HANDZOO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HANDZOO_CACHE", str(tmp_path / "cache"))
    for split in ("training", "evaluation"):
        make_rhd(tmp_path / "data" / "rhd", split)
    make_dexter_object(tmp_path / "data" / "dexter_object")
    cfg = load_config(
        "cliphand_tiny_sample", [*SMALL, "train_dataloader.num_workers=0"], dataset="rhd"
    )
    run = train(cfg, work_dir=tmp_path / "run", max_iters=1, batch_size=2)
    (resource,) = [row for row in run.resources if row["name"] == "data/rhd"]
    assert resource["status"] == "real"
    assert "PA-MPJPE" in run.metrics and "PA-MPVPE" not in run.metrics  # RHD has no mesh
    options = [*SMALL, "test_dataloader.dataset.sequences=['Grasp1','Pinch']"]
    tips = load_config("cliphand_tiny_sample", options, dataset="dexter_object")
    (result,) = run_test(tips, run.work_dir / "last.pth", out=tmp_path / "tips", device="cpu")
    assert "C-AUC-J" in result.metrics
    written = json.loads((tmp_path / "tips" / "metrics.json").read_text())
    assert "dexter" in json.dumps(written["protocol"]).lower()
