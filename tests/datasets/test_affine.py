"""The affine warp carries picture, 2D, 3D and camera together."""

import cv2
import numpy as np
import pytest
import torch
from fabricate import random_hand

from handzoo.datasets.base import empty_info, project
from handzoo.datasets.transforms import (
    HandAffine,
    HandCrop,
    PackHandInputs,
    RandomHandAffine,
    TwoViews,
)
from handzoo.datasets.transforms.geometry import (
    crop_affine,
    homogeneous,
    mirror_annotation,
    rotate_axis_angle,
    rotation_z,
    transform_points,
    warp,
)
from handzoo.errors import DataError
from handzoo.hands.camera import perspective_project
from handzoo.hands.camera import rotation_z as torch_rotation_z


def annotated(seed: int = 0, is_right: bool = True, size: tuple[int, int] = (240, 320)) -> dict:
    rng = np.random.default_rng(seed)
    joints, vertices, camera = random_hand(rng)
    camera[0, 1] = 3.0  # a skewed camera too: the transform must be exact for any
    return {
        **empty_info(),
        "img_path": "fabricated.png",
        "sample_id": seed,
        "image": rng.integers(0, 256, (*size, 3), dtype=np.uint8),
        "joints3d": joints - joints[0],
        "joints3d_valid": np.ones(21, bool),
        "root": joints[0],
        "root_valid": True,
        "vertices": vertices - joints[0],
        "vertices_valid": True,
        "joints2d": project(joints, camera),
        "joints2d_valid": np.ones(21, bool),
        "K": camera,
        "K_valid": True,
        "pose": rng.normal(0, 0.8, 48),
        "mano_valid": True,
        "is_right": is_right,
    }


@pytest.mark.parametrize("is_right", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_projection_of_augmented_joints_is_the_augmented_projection(seed, is_right):
    info = annotated(seed, is_right)
    before = info["joints2d"].copy()
    info = HandCrop(size=180)(info)
    affine = RandomHandAffine(rotation_prob=1.0, shift=0.1)
    info = affine(info)
    assert info["aug_rotation"] != 0 and info["aug_scale"] != 1
    # The recorded map, applied to the original pixels, gives the new ones.
    np.testing.assert_allclose(
        transform_points(info["affine"], before), info["joints2d"], atol=1e-9
    )
    sample = PackHandInputs()(info)["data_samples"]
    points = (sample.joints3d + sample.root)[None]
    projected = perspective_project(points, sample.K[None])[0]
    assert (projected - sample.joints2d).abs().max() < 1e-3  # float32 fields
    exact = project(info["joints3d"] + info["root"], info["K"])
    np.testing.assert_allclose(exact, info["joints2d"], atol=1e-6)
    assert sample.flipped is (not is_right)


def test_positive_rotation_is_that_of_hands_camera():
    torch.testing.assert_close(
        torch.from_numpy(rotation_z(0.4)), torch_rotation_z(torch.tensor(0.4, dtype=torch.float64))
    )
    # A quarter turn clockwise carries a point right of the centre to below it.
    affine = crop_affine(np.array([50.0, 50.0]), 100, 100, rotation=np.pi / 2)
    np.testing.assert_allclose(transform_points(affine, np.array([80.0, 50.0])), [50, 80])


def test_full_crop_of_a_square_picture_is_the_identity():
    info = annotated(size=(224, 224))
    image = info["image"].copy()
    info = HandAffine(size=224)(HandCrop("full")(info))
    np.testing.assert_array_equal(info["image"], image)
    np.testing.assert_allclose(info["affine"], [[1, 0, 0], [0, 1, 0]], atol=1e-12)


def test_metro_crop_is_180_pixels_round_the_centre():
    info = HandAffine(size=224)(HandCrop()(annotated(size=(224, 224))))
    corners = transform_points(info["affine"], np.array([[22.0, 22.0], [202.0, 202.0]]))
    np.testing.assert_allclose(corners, [[0, 0], [224, 224]], atol=1e-9)


@pytest.mark.parametrize("is_right", [True, False])
def test_a_drawn_dot_lands_on_its_transformed_keypoint(is_right):
    for seed in range(6):
        info = annotated(seed, is_right)
        info["image"] = np.zeros((240, 320, 3), np.uint8)
        dot = np.array([150.0 + 7 * seed, 110.0 - 4 * seed])
        cv2.circle(info["image"], (int(dot[0]), int(dot[1])), 3, (255, 255, 255), -1)
        info["joints2d"][:] = dot
        info["crop_center"], info["crop_size"] = np.array([160.0, 115.0]), 160.0
        info = RandomHandAffine(rotation_prob=1.0, shift=0.05)(info)
        weight = info["image"][..., 0].astype(float)
        assert weight.sum() > 0
        rows, columns = np.mgrid[: weight.shape[0], : weight.shape[1]]
        centroid = [(weight * columns).sum(), (weight * rows).sum()] / weight.sum()
        np.testing.assert_allclose(centroid, info["joints2d"][0], atol=0.1)


def test_inverse_affine_returns_the_points():
    info = RandomHandAffine(rotation_prob=1.0, shift=0.2)(annotated(3, is_right=False))
    inverse = np.linalg.inv(homogeneous(info["affine"]))
    np.testing.assert_allclose(
        transform_points(inverse[:2], info["joints2d"]), annotated(3)["joints2d"], atol=1e-9
    )


def test_shrinking_averages_and_stays_in_place():
    # A checkerboard finer than the crop's pixels must become grey, and a dot stay where it is.
    rows, columns = np.mgrid[:896, :896]
    board = np.repeat((((rows + columns) % 2) * 255)[..., None], 3, axis=2).astype(np.uint8)
    affine = crop_affine(np.array([448.0, 448.0]), 896, 224)
    small = warp(board, affine, 224, cv2.BORDER_CONSTANT, 0)
    assert abs(float(small[20:-20, 20:-20].mean()) - 127.5) < 2
    assert small[20:-20, 20:-20].std() < 3
    dot = np.zeros((896, 896, 3), np.uint8)
    cv2.circle(dot, (600, 300), 12, (255, 255, 255), -1)
    weight = warp(dot, affine, 224, cv2.BORDER_CONSTANT, 0)[..., 0].astype(float)
    rows, columns = np.mgrid[:224, :224]
    centroid = [(weight * columns).sum(), (weight * rows).sum()] / weight.sum()
    np.testing.assert_allclose(
        centroid, transform_points(affine, np.array([600.0, 300.0])), atol=0.05
    )


def test_mirroring_twice_is_the_identity_and_keeps_projection():
    info, original = annotated(2), annotated(2)
    info["bbox"] = np.array([10.0, 20.0, 60.0, 90.0])
    mirror_annotation(info, width=320)
    points = info["joints3d"] + info["root"]
    np.testing.assert_allclose(project(points, info["K"]), info["joints2d"], atol=1e-9)
    np.testing.assert_allclose(info["joints2d"][:, 0], 319 - original["joints2d"][:, 0])
    assert tuple(info["bbox"]) == (259, 20, 309, 90)
    mirror_annotation(info, width=320)
    for name in ("joints3d", "vertices", "root", "joints2d", "K", "pose"):
        np.testing.assert_allclose(info[name], original[name], atol=1e-9)


def test_mirrored_pose_is_the_mirror_of_its_rotation():
    info = annotated(4)
    before, _ = cv2.Rodrigues(info["pose"][:3].copy())
    mirror_annotation(info, width=320)
    after, _ = cv2.Rodrigues(info["pose"][:3].copy())
    flip = np.diag([-1.0, 1, 1])
    np.testing.assert_allclose(after, flip @ before @ flip, atol=1e-12)


def test_global_orientation_turns_with_the_hand():
    info = annotated(5)
    before, _ = cv2.Rodrigues(info["pose"][:3].copy())
    info = RandomHandAffine(rotation_prob=1.0)(info)
    after, _ = cv2.Rodrigues(info["pose"][:3].copy())
    np.testing.assert_allclose(after, rotation_z(info["aug_rotation"]) @ before, atol=1e-9)
    np.testing.assert_allclose(info["pose"][3:], annotated(5)["pose"][3:])
    half_turn = rotate_axis_angle(rotation_z(np.pi), np.zeros(3))
    np.testing.assert_allclose(np.abs(half_turn), [0, 0, np.pi], atol=1e-9)


def test_random_affine_follows_metros_distribution():
    affine = RandomHandAffine()
    draws = [affine.draw() for _ in range(4000)]
    rotation = np.rad2deg([draw[0] for draw in draws])
    size = 1 / np.array([draw[1] for draw in draws])
    assert abs((rotation == 0).mean() - 0.6) < 0.03
    assert np.abs(rotation).max() <= 180 + 1e-9
    inside = rotation[(rotation != 0) & (np.abs(rotation) < 179.9)]
    assert 70 < inside.std() < 90  # N(0, 90) with its tails cut off
    assert size.min() >= 0.75 and size.max() <= 1.25
    assert abs((np.isclose(size, 0.75) | np.isclose(size, 1.25)).mean() - 0.317) < 0.03


def test_two_views_differ_by_what_they_say():
    steps = [RandomHandAffine(rotation_prob=1.0)]
    info = HandCrop(size=150)(annotated(6))
    out = TwoViews(steps)(info)
    assert out["view2_image"].shape == out["image"].shape == (224, 224, 3)
    assert not np.array_equal(out["view2_image"], out["image"])
    assert info["joints2d"] is not out["joints2d"]
    # Undoing view 2's relative rotation and scale on view 1's frame gives view 1's own picture.
    centre = np.array([112.0, 112.0])
    back = crop_affine(centre, 224, 224, -out["view2_rotation"], 1 / out["view2_scale"])
    again = cv2.warpAffine(out["view2_image"], back, (224, 224))
    inner = np.hypot(*(np.mgrid[:224, :224] - 112)) < 60
    blurred = [cv2.GaussianBlur(image, (0, 0), 3)[inner] for image in (again, out["image"])]
    assert np.abs(blurred[0].astype(float) - blurred[1]).mean() < 4


def test_unannotated_fields_are_zero_and_flagged():
    info = {**empty_info(), "img_path": "x", "sample_id": 0}
    info["image"] = np.zeros((100, 200, 3), np.uint8)
    sample = PackHandInputs()(HandAffine()(HandCrop("full")(info)))["data_samples"]
    for name in ("joints3d", "joints2d", "vertices", "root", "pose", "shape"):
        assert not sample.get(name).any(), name
    for name in ("joints3d", "joints2d", "vertices", "root", "K", "mano"):
        assert not sample.get(f"{name}_valid").any(), name
    assert torch.equal(sample.K, torch.eye(3)) and int(sample.gesture) == -1


def test_crop_from_joints_needs_joints():
    info = {**empty_info(), "img_path": "x.png", "image": np.zeros((10, 10, 3), np.uint8)}
    with pytest.raises(DataError, match=r"x\.png has no 2D joints"):
        HandCrop("joints")(info)


def test_crop_from_joints_is_their_enlarged_box():
    info = HandCrop("joints", factor=2.0)(annotated(7))
    low, high = info["joints2d"].min(0), info["joints2d"].max(0)
    np.testing.assert_allclose(info["crop_center"], (low + high) / 2)
    assert info["crop_size"] == pytest.approx(2 * (high - low).max())
