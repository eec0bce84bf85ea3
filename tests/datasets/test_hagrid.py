"""HaGRID's versions of annotation, layouts, and folders of gestures."""

import random

import cv2
import numpy as np
import pytest
from fabricate import HAGRID_POINTS as POINTS
from fabricate import make_hagrid
from fabricate import write_hagrid as write
from mmengine.config import Config

from handzoo.datasets import GestureFolder, HaGRID
from handzoo.datasets.hagrid import validation_users
from handzoo.errors import ConfigError, DataError
from handzoo.hands.gestures import GESTURES


@pytest.fixture
def version_one(tmp_path):
    make_hagrid(tmp_path)
    return tmp_path


def test_version_one(version_one):
    dataset = HaGRID(version_one, split="train_val", landmarks=True)
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert [i["gesture_name"] for i in infos] == ["call", "no_gesture", "two_up", "no_gesture"]
    assert [i["is_right"] for i in infos] == [False, True, True, True]
    assert infos[2]["gesture"] == GESTURES.index("two_up")
    np.testing.assert_allclose(infos[0]["bbox_relative"], [0.1, 0.2, 0.4, 0.6], atol=1e-6)
    assert infos[0]["joints2d_valid"].all() and "joints2d_relative" not in infos[1]
    assert len(HaGRID(version_one, split="train_val", with_rest=False)) == 2


def test_box_becomes_the_crop_and_points_follow(version_one):
    steps = Config.fromfile("configs/_base_/datasets/hagrid.py").test_pipeline
    dataset = HaGRID(version_one, split="train_val", landmarks=True, pipeline=steps)
    sample = dataset[2]["data_samples"]
    # Box (10, 40) to (40, 120) of a 100 x 200 picture; the side is 80 * 1.5.
    expected = (np.array(POINTS) * [100, 200] - [25, 80]) * 224 / 120 + 112
    np.testing.assert_allclose(sample.joints2d, expected, atol=1e-3)
    assert sample.prompt.endswith("in a gesture that means two up.")
    assert (
        dataset[0]["data_samples"].flipped and not dataset[1]["data_samples"].joints2d_valid.any()
    )


def test_validation_users_follow_the_published_rule(version_one):
    users = [f"user{i}" for i in range(50)]
    order = sorted(users)
    random.Random(42).shuffle(order)
    assert {users[i] for i in validation_users(users)} == set(order[40:])
    parts = [len(HaGRID(version_one, split="train_val", part=p)) for p in ("train", "val")]
    assert parts == [2, 2]


@pytest.mark.parametrize("united", [None, [None]])
def test_version_two(tmp_path, united):
    entry = {
        "bboxes": [[0.1, 0.2, 0.3, 0.4]],
        "labels": ["holy"],
        "united_bbox": united,
        "united_label": united,
        "user_id": "u",
        "hand_landmarks": [POINTS],
    }
    write(tmp_path, "hagrid_annotations/train", "hagrid_dataset/{gesture}", "holy", {"a": entry})
    dataset = HaGRID(tmp_path, landmarks=True)
    info = dataset.get_data_info(0)
    assert (info["gesture"], info["gesture_name"]) == (-1, "holy")
    assert info["joints2d_valid"].all()
    with pytest.raises(ConfigError, match="Did you mean 'train'"):
        HaGRID(tmp_path, split="trian")


def test_new_pictures_are_seen(version_one):
    assert len(HaGRID(version_one, split="train_val")) == 4
    cv2.imwrite(str(version_one / "call/gone.jpg"), np.zeros((20, 10, 3), np.uint8))
    assert len(HaGRID(version_one, split="train_val")) == 6


def test_damage_is_named(version_one):
    path = version_one / "ann_train_val/call.json"
    path.write_text(path.read_text()[:-5])
    with pytest.raises(DataError, match=r"call\.json is not readable JSON"):
        HaGRID(version_one, split="train_val")


def test_folders_of_gestures(tmp_path):
    for name in ("rock", "none"):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "x.jpg"), np.zeros((40, 30, 3), np.uint8))
    steps = [
        dict(type="LoadHandImage"),
        dict(type="HandCrop", policy="full"),
        dict(type="HandAffine"),
        dict(type="PackHandInputs"),
    ]
    dataset = GestureFolder(tmp_path, pipeline=steps)
    assert [dataset[i]["data_samples"].gesture_name for i in range(2)] == ["no_gesture", "rock"]
    (tmp_path / "rokc").mkdir()
    with pytest.raises(ConfigError, match="Did you mean 'rock'"):
        GestureFolder(tmp_path)
