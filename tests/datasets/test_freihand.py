"""FreiHAND's layout, versions, partial annotation and damage."""

import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from fabricate import make_freihand
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

from handzoo.datasets import FreiHAND
from handzoo.datasets.freihand import VERSIONS, holdout_indices
from handzoo.errors import ConfigError, DataError, ResourceError
from handzoo.hands.camera import perspective_project
from handzoo.registry import DATASETS
from handzoo.resources import ASSETS, collect_resources
from handzoo.structures import HandTargets

CONFIG = "configs/_base_/datasets/freihand.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("freihand")
    return root, make_freihand(root)


def pipeline(kind):
    return Config.fromfile(CONFIG)[f"{kind}_pipeline"]


def test_files_are_index_plus_n_times_version(folder):
    dataset = FreiHAND(folder[0])
    assert len(dataset) == 4 * 6
    numbers = [dataset.get_data_info(i)["sample_id"] for i in range(24)]
    assert numbers == list(range(24))
    info = dataset.get_data_info(3 * 6 + 2)
    assert (info["sample_id"], info["version"]) == (20, "auto")
    assert info["img_path"].endswith("training/rgb/00000020.jpg")
    np.testing.assert_allclose(info["K"], folder[1]["K"][2])


def test_bundled_is_the_sample_even_where_freihand_is(folder, tmp_path, monkeypatch):
    (tmp_path / "freihand").symlink_to(folder[0])
    monkeypatch.setenv("HANDZOO_DATA", str(tmp_path))
    assert len(FreiHAND()) == 4 * 6
    with collect_resources() as report:
        bundled = FreiHAND("bundled", lazy_init=True)
    assert bundled.data_root == ASSETS / "sample"
    assert [row["status"] for row in report.rows()] == ["stand-in"]
    with collect_resources(require_real=True), pytest.raises(ResourceError, match="data/freihand"):
        FreiHAND("bundled", lazy_init=True)


def test_published_sizes_give_130240_samples(tmp_path):
    count = 32_560
    (tmp_path / "training/rgb").mkdir(parents=True)
    for v in range(4):
        for index in (0, count - 1):
            (tmp_path / f"training/rgb/{index + count * v:08d}.jpg").write_bytes(b"")
    (tmp_path / "training_scale.json").write_text(json.dumps([0.03] * count))
    (tmp_path / "training_K.json").write_text(json.dumps([np.eye(3).tolist()] * count))
    dataset = FreiHAND(tmp_path)
    assert len(dataset) == 130_240
    assert dataset.get_data_info(-1)["sample_id"] == 130_239
    assert dataset.get_data_info(count)["version"] == "hom"


def test_subset_of_versions(folder):
    dataset = FreiHAND(folder[0], versions=("hom", "auto"))
    assert [dataset.get_data_info(i)["sample_id"] for i in (0, 5, 6, 11)] == [6, 11, 18, 23]
    with pytest.raises(ConfigError, match="Did you mean 'hom'"):
        FreiHAND(folder[0], versions=("home",))


def test_annotation_is_the_files(folder):
    root, content = folder
    info = FreiHAND(root).get_data_info(4)
    xyz = np.array(content["xyz"][4])
    np.testing.assert_allclose(info["joints3d"] + info["root"], xyz, atol=1e-15)
    np.testing.assert_allclose(info["joints2d"], content["uv"][4], atol=1e-9)
    np.testing.assert_allclose(
        info["vertices"] + info["root"], np.array(content["verts"][4]), atol=1e-7
    )
    np.testing.assert_array_equal(info["pose"], np.array(content["mano"][4])[0, :48])
    np.testing.assert_array_equal(info["shape"], np.array(content["mano"][4])[0, 48:58])


def test_holdout_parts_share_no_unique_sample(folder):
    parts = {
        part: FreiHAND(folder[0], holdout=dict(part=part, fraction=0.3, seed=5))
        for part in ("train", "val")
    }
    unique = {
        part: {dataset.get_data_info(i)["sample_id"] % 6 for i in range(len(dataset))}
        for part, dataset in parts.items()
    }
    assert unique["train"] | unique["val"] == set(range(6))
    assert not unique["train"] & unique["val"]
    assert len(parts["val"]) == 2 * 4
    np.testing.assert_array_equal(holdout_indices(100, seed=1), holdout_indices(100, seed=1))


def test_packed_sample_projects_onto_itself(folder):
    dataset = FreiHAND(folder[0], pipeline=pipeline("train"))
    batch = pseudo_collate([dataset[i] for i in range(8)])
    assert all(image.shape == (3, 224, 224) for image in batch["inputs"])
    assert batch["inputs"][0].dtype == torch.uint8
    targets = HandTargets.from_samples(batch["data_samples"])
    points = targets.joints3d + targets.root[:, None]
    projected = perspective_project(points, targets.K)
    assert (projected - targets.joints2d).abs().max() < 1e-3
    assert targets.vertices_valid.all() and targets.joints3d_valid.all()
    assert all(text.startswith("an image of a hand on a") for text in targets.prompts)


@pytest.mark.parametrize(
    ("fields", "valid"),
    [
        (("uv",), {"joints2d"}),
        (("K",), {"K"}),
        (("K", "xyz"), {"K", "joints2d", "joints3d", "root"}),
        (("xyz",), {"joints3d", "root"}),
        (("verts", "K"), {"K"}),  # a mesh without the wrist cannot be made root-relative
    ],
)
def test_partial_annotation_is_flagged(tmp_path, fields, valid):
    make_freihand(tmp_path, unique=2, fields=fields)
    dataset = FreiHAND(tmp_path, pipeline=pipeline("train"))
    sample = dataset[5]["data_samples"]
    for name in ("joints2d", "joints3d", "vertices", "root", "K", "mano"):
        assert bool(sample.get(f"{name}_valid").all()) is (name in valid), name


def test_evaluation_with_camera_only(tmp_path):
    make_freihand(tmp_path, unique=3, split="evaluation", fields=("K", "scale"), versions=1)
    dataset = FreiHAND(tmp_path, split="evaluation", pipeline=pipeline("test"), test_mode=True)
    assert len(dataset) == 3
    sample = dataset[2]["data_samples"]
    assert sample.K_valid and not sample.joints2d_valid.any()
    assert sample.hand_scale > 0


def test_missing_pictures_are_named_when_opening(tmp_path):
    make_freihand(tmp_path, unique=3, versions=1)
    with pytest.raises(DataError, match=r"version 'hom' of the 3 training samples"):
        FreiHAND(tmp_path)
    shutil.rmtree(tmp_path / "training/rgb")
    (tmp_path / "training/rgb").mkdir()
    with pytest.raises(DataError, match="holds no picture"):
        FreiHAND(tmp_path)


def test_version_one_and_mixed_releases_are_refused(tmp_path):
    old = tmp_path / "FreiHAND_pub_v1"
    content = make_freihand(old, unique=2)
    with pytest.raises(DataError, match="is FreiHAND v1"):
        FreiHAND(old)
    mixed = tmp_path / "mixed"
    shutil.copytree(old, mixed)
    (mixed / "training_scale.json").write_text(json.dumps([s * 1.1 for s in content["scale"]]))
    with pytest.raises(DataError, match="different releases"):
        FreiHAND(mixed)
    (mixed / "training_scale.json").write_text(json.dumps(content["scale"][:1]))
    with pytest.raises(DataError, match="differ in length"):
        FreiHAND(mixed)


def test_a_bad_picture_is_replaced_in_training_and_refused_in_testing(tmp_path):
    make_freihand(tmp_path, unique=5)
    (tmp_path / "training/rgb/00000007.jpg").write_bytes(b"not a picture")
    dataset = FreiHAND(tmp_path, pipeline=pipeline("train"), max_bad_fraction=0.1)
    for _ in range(2):
        assert dataset[7]["data_samples"].sample_id != 7
    assert len(dataset.bad_images) == 1
    strict = FreiHAND(tmp_path, pipeline=pipeline("test"), test_mode=True)
    with pytest.raises(DataError, match=r"00000007\.jpg is missing or is not a readable"):
        strict[7]
    for number in range(8, 12):
        (tmp_path / f"training/rgb/{number:08d}.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="max_bad_fraction"):
        for index in range(8, 12):
            dataset[index]


def test_samples_that_share_one_bad_picture_are_not_tried_for_ever(tmp_path, monkeypatch):
    make_freihand(tmp_path, unique=5)
    dataset = FreiHAND(tmp_path, pipeline=pipeline("train"), max_bad_fraction=0.1)
    monkeypatch.setattr(dataset, "get_data_info", lambda index: {"img_path": "nowhere.jpg"})
    with pytest.raises(DataError, match="in a row cannot be read, the last from nowhere.jpg"):
        dataset[0]


def test_labels_of_a_generated_set(tmp_path):
    make_freihand(tmp_path, unique=2)
    meta = [
        {"gesture": "peace", "colors": ["green", "blue", "mountain", "red"]},
        {"gesture": None, "colors": ["wine", "olive", "gray", "bright room"]},
    ]
    (tmp_path / "training_meta.json").write_text(json.dumps(meta))
    dataset = FreiHAND(tmp_path, pipeline=pipeline("test"))
    prompts = [dataset[i]["data_samples"].prompt for i in range(8)]
    assert (
        prompts[4] == "an image of a hand on a mountain background in a gesture that means peace."
    )
    assert prompts[7] == "an image of a hand on a bright room."
    meta[0]["gesture"] = "peaec"
    (tmp_path / "training_meta.json").write_text(json.dumps(meta))
    with pytest.raises(DataError, match="peaec"):
        FreiHAND(tmp_path)


def test_gesture_labels_beside_the_data(tmp_path):
    make_freihand(tmp_path, unique=2)
    labels = {"labeller": "by hand", "training": ["fist", None]}
    (tmp_path / "gesture_labels.json").write_text(json.dumps(labels))
    dataset = FreiHAND(tmp_path, pipeline=pipeline("test"))
    for version in range(len(VERSIONS)):
        assert dataset[2 * version]["data_samples"].gesture_name == "fist"
        assert int(dataset[2 * version + 1]["data_samples"].gesture) == -1
        assert "means" not in dataset[2 * version + 1]["data_samples"].prompt
    (tmp_path / "gesture_labels.json").write_text(json.dumps({"training": ["fist"]}))
    with pytest.raises(DataError, match="1 entries and the annotation has 2"):
        FreiHAND(tmp_path)


def test_config_builds_through_the_registry(folder):
    cfg = Config.fromfile(CONFIG).train_dataloader.dataset
    dataset = DATASETS.build({**cfg, "data_root": str(folder[0])})
    assert dataset.metainfo["dataset"] == "freihand"
    assert len(dataset.metainfo["joint_names"]) == 21
    with pytest.raises(ConfigError, match="pipeline"):
        DATASETS.build({**cfg, "data_root": str(folder[0]), "pipeline": [dict(type="LoadHand")]})


def test_mmengines_wrappers_and_loader_take_it(folder):
    cfg = Config.fromfile(CONFIG).train_dataloader.dataset
    cfg = {**cfg, "data_root": str(folder[0])}
    parts = [{**cfg, "versions": (version,)} for version in ("gs", "auto")]
    with DefaultScope.overwrite_default_scope("handzoo"):  # as the Runner sets it
        both = DATASETS.build(dict(type="ConcatDataset", datasets=parts))
    assert len(both) == 12 and both.metainfo["dataset"] == "freihand"
    loader = DataLoader(both, batch_size=4, num_workers=2, collate_fn=pseudo_collate)
    ids = [s.sample_id for batch in loader for s in batch["data_samples"]]
    assert ids == [*range(6), *range(18, 24)]


def test_green_screen_is_called_green(tmp_path):
    make_freihand(tmp_path, unique=1, versions=1)
    image = np.full((224, 224, 3), (40, 130, 50), np.uint8)
    cv2.circle(image, (112, 112), 60, (120, 150, 220), -1)
    cv2.imwrite(str(tmp_path / "training/rgb/00000000.jpg"), image)
    dataset = FreiHAND(tmp_path, versions=("gs",), pipeline=pipeline("train"))
    assert dataset[0]["data_samples"].color == "green"
