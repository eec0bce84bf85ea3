"""RHD's joint order, choice of hand, mirroring and restricted reading."""

import pickle

import cv2
import numpy as np
import pytest
from fabricate import make_rhd
from mmengine.config import Config

from handzoo.datasets import RHD
from handzoo.datasets.base import project
from handzoo.errors import ConfigError, DataError

# RHD's place in a hand of each joint of ours, written out from RHD's description: wrist; thumb,
# index, middle, ring, little, each from tip to palm.
THUMB, INDEX, MIDDLE, RING, LITTLE = ([n + 3, n + 2, n + 1, n] for n in (1, 5, 9, 13, 17))
RHD_PLACES = [0, *THUMB, *INDEX, *MIDDLE, *RING, *LITTLE]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("rhd")
    return root, make_rhd(root)


def test_order_is_ours(folder):
    root, content = folder
    right = RHD(root).get_data_info(1)
    assert right["sample_id"] == 7 and right["is_right"]
    expected = content[7]["xyz"][[21 + place for place in RHD_PLACES]]
    np.testing.assert_allclose(right["joints3d"] + right["root"], expected, atol=1e-6)
    left = RHD(root).get_data_info(0)
    assert not left["is_right"]
    expected = content[3]["uv_vis"][RHD_PLACES]
    np.testing.assert_allclose(left["joints2d"], expected[:, :2], atol=1e-5)
    assert left["joints_visible"].tolist() == [place != 5 for place in RHD_PLACES]


@pytest.mark.parametrize(
    ("hand", "sides"),
    [
        ("mask", {3: "l", 7: "r", 8: "l"}),
        ("left", {3: "l", 7: "r", 8: "l"}),
        ("right", {3: "l", 7: "r", 8: "r"}),
        ("visible", {3: "l", 7: "r", 8: "r"}),  # a tie goes to the right hand
    ],
)
def test_choice_of_hand(folder, hand, sides):
    dataset = RHD(folder[0], hand=hand)
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert {i["sample_id"]: "r" if i["is_right"] else "l" for i in infos} == sides


def test_both_hands_are_samples(folder):
    dataset = RHD(folder[0], hand="both")
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert [(i["sample_id"], i["is_right"]) for i in infos] == [
        ("3/left", False),
        ("7/right", True),
        ("8/left", False),
        ("8/right", True),
    ]
    with pytest.raises(ConfigError, match="Did you mean 'both'"):
        RHD(folder[0], hand="booth")


def test_hidden_joints_can_be_left_out(folder):
    info = RHD(folder[0], visible_only=True).get_data_info(0)
    assert info["joints3d_valid"].sum() == info["joints2d_valid"].sum() == 20


def test_left_hand_arrives_as_a_right_one_and_returns(folder):
    root, content = folder
    dataset = RHD(root, pipeline=Config.fromfile("configs/_base_/datasets/rhd.py").train_pipeline)
    sample = dataset[0]["data_samples"]
    assert sample.flipped and not sample.is_right
    points = (sample.joints3d + sample.root).double().numpy()
    np.testing.assert_allclose(
        project(points, sample.K.double().numpy()), sample.joints2d, atol=2e-3
    )
    # Undo rotation and mirror: the published left hand comes back.
    angle = -float(sample.aug_rotation)
    cos, sin = np.cos(angle), np.sin(angle)
    back = points @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]).T * [-1, 1, 1]
    np.testing.assert_allclose(back, content[3]["xyz"][RHD_PLACES], atol=1e-6)
    # The affine map goes from the stored picture to the crop, mirror included.
    source = cv2.imread(str(root / "training/color/00003.png"))
    plain = RHD(root).get_data_info(0)["joints2d"]
    mapped = plain @ sample.affine[:, :2].T + sample.affine[:, 2]
    np.testing.assert_allclose(mapped, sample.joints2d, atol=1e-3)
    assert np.linalg.det(sample.affine[:, :2]) < 0 and source.shape == (320, 320, 3)


class _Harmful:
    def __reduce__(self):
        return (print, ("ran",))


def test_only_arrays_are_unpickled(tmp_path, capsys):
    make_rhd(tmp_path)
    path = tmp_path / "training/anno_training.pickle"
    path.write_bytes(pickle.dumps({0: _Harmful()}))
    with pytest.raises(DataError, match="refused to unpickle"):
        RHD(tmp_path)
    assert "ran" not in capsys.readouterr().out
    path.write_bytes(pickle.dumps({0: {"K": np.eye(3)}}))
    with pytest.raises(DataError, match="sample 0 has no 'xyz'"):
        RHD(tmp_path)
    path.write_bytes(b"\x80\x04")
    with pytest.raises(DataError, match="not a readable pickle"):
        RHD(tmp_path)
