"""The tools over the data sets, run on fabricated data."""

import json

import cv2
import numpy as np
import pytest
from fabricate import make_freihand, make_rhd
from mmengine.config import Config

from handzoo.apis import benchmark_data, browse
from handzoo.datasets.transforms.geometry import crop_affine, warp
from handzoo.engine.config import load_config
from handzoo.registry import DATASETS


def test_browse_draws_what_is_annotated(tmp_path, capsys):
    make_freihand(tmp_path / "data", unique=3)
    config = "configs/_base_/datasets/freihand.py"
    out = tmp_path / "out"
    arguments = [config, "--data", str(tmp_path / "data"), "--out", str(out), "--num", "4"]
    assert browse.main([*arguments, "--no-mesh"]) == 0
    pictures = sorted(path.name for path in out.glob("0*.jpg"))
    assert pictures == [f"{number:08d}.jpg" for number in (0, 3, 7, 11)]
    assert cv2.imread(str(out / pictures[0])).shape == (224, 2 * 224, 3)
    assert cv2.imread(str(out / "sheet.jpg")).shape[1] > 6 * 224
    assert "an image of a hand on a" in capsys.readouterr().out


def test_browse_is_reproducible(tmp_path):
    make_rhd(tmp_path / "data")
    drawn = []
    for seed in ("1", "1", "2"):
        out = tmp_path / f"out{len(drawn)}"
        arguments = ["configs/_base_/datasets/rhd.py", "--data", str(tmp_path / "data")]
        browse.main([*arguments, "--out", str(out), "--seed", seed, "--index", "1"])
        drawn.append((out / "00000001.jpg").read_bytes())
    assert drawn[0] == drawn[1] != drawn[2]


def test_points_stand_for_a_mesh_without_faces(tmp_path):
    make_freihand(tmp_path, unique=1)
    cfg = Config.fromfile("configs/_base_/datasets/freihand.py").train_dataloader.dataset
    dataset = DATASETS.build({**cfg, "data_root": str(tmp_path)})
    pictures = browse.draw_sample(dataset[0], faces=None)
    assert len(pictures) == 3
    changed = (pictures[2] != pictures[0]).any(axis=2)
    assert changed.sum() > 300


def test_benchmark_compares_like_with_like(tmp_path):
    """The slow way makes the same picture, so its speed is a fair yardstick."""
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8), (224, 224))
    center = np.array([112.0, 112.0])
    for rotation, scale in ((0.0, 1.0), (0.7, 1.1), (-2.0, 0.8)):
        affine = crop_affine(center, 180, 224, rotation, scale)
        once = warp(image, affine, 224, cv2.BORDER_CONSTANT, 0).astype(float)
        steps = benchmark_data.separate_steps(image, center, 180, 224, rotation, scale)
        inner = np.s_[40:-40, 40:-40]
        assert np.abs(once[inner] - steps[inner]).mean() < 3


def test_benchmark_prints_rates(tmp_path, capsys):
    make_freihand(tmp_path, unique=2)
    report = tmp_path / "figures.json"
    arguments = ["configs/_base_/datasets/freihand.py", "--data", str(tmp_path), "--workers", "0"]
    benchmark_data.main([*arguments, "--seconds", "0.1", "--json", str(report)])
    figures = json.loads(report.read_text())
    assert figures["samples"] == 8 and figures["samples_per_s_one_process"] > 10
    assert "warp_ratio" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["freihand", "rhd", "dexter_object", "hagrid"])
def test_configs_name_only_what_exists(name):
    cfg = load_config(f"configs/_base_/datasets/{name}.py")
    assert cfg.test_dataloader.dataset.type == cfg.dataset_type
