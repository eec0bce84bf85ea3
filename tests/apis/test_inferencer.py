"""HandInferencer: where hands land in the picture, left hands, batches, bad files, outputs."""

import json

import cv2
import numpy as np
import pytest
import trimesh
from fake_estimator import DotEstimator, dotted

from handzoo.apis import infer
from handzoo.apis.boxes import HandBox, parse_boxes, read_boxes
from handzoo.apis.inferencer import HandInferencer
from handzoo.apis.inputs import list_inputs, read_image
from handzoo.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def inferencer():
    return HandInferencer(DotEstimator(), device="cpu", batch_size=3)


@pytest.fixture(autouse=True)
def forget(inferencer):
    inferencer.estimator.batches.clear()


def write(path, image):
    cv2.imwrite(str(path), image[..., ::-1])
    return path


def project(points, K):
    projected = points @ K.T
    return projected[:, :2] / projected[:, 2:]


@pytest.mark.parametrize("size, dot", [((224, 224), (120, 100)), ((640, 360), (350, 150))])
def test_the_wrist_lands_on_the_dot_without_a_box(inferencer, size, dot):
    (result,) = inferencer(dotted(*size, *dot))
    (hand,) = result.hands
    np.testing.assert_allclose(hand.joints2d[0], dot, atol=0.6)
    np.testing.assert_allclose(hand.box[2:] - hand.box[:2], 180 / 224 * min(size))
    assert hand.joints3d.shape == (21, 3) and hand.vertices.shape == (778, 3)


@pytest.mark.parametrize("K", [None, 900.0, np.array([[700.0, 0, 300], [0, 800, 200], [0, 0, 1]])])
@pytest.mark.parametrize("hand_side", ["right", "left"])
def test_translation_and_camera_reproject_the_wrist(inferencer, hand_side, K):
    dot = (500, 90)
    box = {"box": (420, 20, 560, 150), "hand": hand_side}
    (result,) = inferencer(dotted(640, 360, *dot), boxes=box, K=K)
    (hand,) = result.hands
    assert hand.is_right == (hand_side == "right")
    np.testing.assert_allclose(hand.joints2d[0], dot, atol=0.6)
    wrist = project((hand.joints3d[:1] + hand.translation), hand.K)
    np.testing.assert_allclose(wrist, hand.joints2d[:1], atol=0.1)
    assert hand.translation[2] > 0
    if K is not None and np.ndim(K) == 0:
        assert hand.K[0, 0] == hand.K[1, 1] == 900


def test_a_mirrored_picture_of_a_left_hand_gives_the_mirrored_result(inferencer):
    image = dotted(300, 200, 170, 90)
    (right,) = inferencer(image, boxes=(100, 40, 240, 180)).hands
    mirrored = np.ascontiguousarray(image[:, ::-1])
    box = (299 - 240, 40, 299 - 100, 180)
    (left,) = inferencer(mirrored, boxes=box, hand="left").hands
    np.testing.assert_allclose(left.joints3d, right.joints3d * [-1, 1, 1], atol=1e-6)
    np.testing.assert_allclose(left.vertices, right.vertices * [-1, 1, 1], atol=1e-6)
    np.testing.assert_allclose(left.joints2d, right.joints2d * [-1, 1] + [299, 0], atol=0.05)
    np.testing.assert_allclose(left.translation, right.translation * [-1, 1, 1], atol=1e-4)
    np.testing.assert_array_equal(left.faces, right.faces[:, [0, 2, 1]])


@pytest.mark.parametrize("hand_side", ["right", "left"])
def test_overlay_mesh_and_joints_agree_in_the_picture(inferencer, hand_side):
    """Screen vertices, regressed to joints, are the 2D joints: one camera for both."""
    image = dotted(640, 360, 300, 200)
    (result,) = inferencer(image, boxes=(220, 120, 380, 280), hand=hand_side)
    (hand,) = result.hands
    regressor = inferencer.estimator.topology.joint_regressor.numpy()
    np.testing.assert_allclose(
        (regressor @ hand.screen_vertices())[:, :2], hand.joints2d, atol=0.05
    )
    drawn = (result.draw_overlay() != image).any(-1)
    rows, columns = np.nonzero(drawn)
    screen = hand.screen_vertices()
    np.testing.assert_allclose(
        [columns.min(), columns.max(), rows.min(), rows.max()],
        [screen[:, 0].min(), screen[:, 0].max(), screen[:, 1].min(), screen[:, 1].max()],
        atol=1.5,
    )
    assert (result.draw_skeleton() != image).any()


def test_detector_and_several_hands(inferencer):
    def detector(image):
        assert image.dtype == np.uint8 and image.ndim == 3
        if image.shape[0] == 100:
            return []
        return [HandBox((10, 10, 110, 110), score=0.9), HandBox((150, 50, 250, 150), False, 0.8)]

    found = HandInferencer(inferencer.estimator, device="cpu", detector=detector, batch_size=3)
    pictures = [dotted(300, 200, 60, 60), dotted(100, 100, 50, 50), dotted(300, 200, 60, 60)]
    results = found(pictures)
    assert [len(result.hands) for result in results] == [2, 0, 2]
    assert [hand.is_right for hand in results.hands] == [True, False] * 2
    assert results[0].hands[1].score == 0.8
    # Boxes of the user win over the detector.
    assert len(found(pictures[0], boxes=(10, 10, 60, 60)).hands) == 1
    with pytest.raises(ConfigError, match="detector"):
        HandInferencer(inferencer.estimator, device="cpu", detector="yolo")


def test_batches_are_filled(inferencer):
    results = inferencer([dotted(64, 64, 20 + k, 30) for k in range(7)])
    assert inferencer.estimator.batches == [3, 3, 1]
    x = [hand.joints2d[0, 0] for hand in results.hands]
    np.testing.assert_allclose(x, 20 + np.arange(7), atol=0.6)


def test_folder_with_a_bad_file(inferencer, tmp_path, caplog):
    write(tmp_path / "a.jpg", dotted(200, 200, 90, 100))
    (tmp_path / "b.jpg").write_bytes(b"no picture at all")
    (tmp_path / "c.png").write_bytes(b"")
    write(tmp_path / "d.png", dotted(200, 200, 110, 100))
    (tmp_path / "notes.txt").write_text("not an image")
    results = inferencer(tmp_path)
    assert [bool(result.error) for result in results] == [False, True, True, False]
    assert "b.jpg" in caplog.text and "damaged" in caplog.text
    path = results.save(tmp_path / "out")
    content = json.loads(path.read_text())
    assert [len(row["hands"]) for row in content["results"]] == [1, 0, 0, 1]
    assert "damaged" in content["results"][1]["error"]
    files = {file.name for file in (tmp_path / "out").iterdir()}
    expected = {f"{stem}{end}" for stem in "ad" for end in
                ("_overlay.png", "_skeleton.png", "_side.png", ".obj", ".glb")}  # fmt: skip
    assert files == expected | {"predictions.json"}


def test_what_is_written_is_what_was_predicted(inferencer, tmp_path):
    image = write(tmp_path / "hand.png", dotted(224, 224, 120, 100))
    results = inferencer(image, hand="left")
    content = json.loads(results.save(tmp_path / "out").read_text())
    (row,) = content["results"]
    (hand,) = row["hands"]
    assert hand["hand"] == "left" and row["source"] == str(image)
    assert [r["name"] for r in content["resources"]] == []  # a ready estimator: nothing resolved
    for name in ("joints3d", "vertices", "joints2d", "camera", "translation", "K"):
        np.testing.assert_allclose(hand[name], getattr(results.hands[0], name), atol=1e-6)
    mesh = trimesh.load(tmp_path / "out" / "hand.obj", process=False, force="mesh")
    np.testing.assert_allclose(mesh.vertices, results.hands[0].vertices, atol=1e-6)
    np.testing.assert_array_equal(mesh.faces, results.hands[0].faces)
    overlay = read_image(tmp_path / "out" / "hand_overlay.png")
    np.testing.assert_array_equal(overlay, results[0].draw_overlay())


def test_equal_names_do_not_overwrite_each_other(inferencer, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "hand.png", dotted(100, 100, 50, 50))
    inferencer([tmp_path / "one", tmp_path / "two"]).save(tmp_path / "out")
    assert (tmp_path / "out" / "hand_overlay.png").is_file()
    assert (tmp_path / "out" / "hand_2_overlay.png").is_file()


def make_video(path, frames=5):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10.0, (160, 120))
    for k in range(frames):
        writer.write(np.ascontiguousarray(dotted(160, 120, 60 + 4 * k, 60)[..., ::-1]))
    writer.release()
    return path


def test_video(inferencer, tmp_path):
    video = make_video(tmp_path / "wave.mp4")
    results = inferencer(video)
    assert [result.frame for result in results] == list(range(5))
    x = [hand.joints2d[0, 0] for hand in results.hands]
    np.testing.assert_allclose(np.diff(x), 4, atol=1.5)
    content = json.loads(results.save(tmp_path / "out").read_text())
    assert [row["frame"] for row in content["results"]] == list(range(5))
    assert "vertices" not in content["results"][0]["hands"][0]
    film = cv2.VideoCapture(str(tmp_path / "out" / "wave.mp4"))
    assert int(film.get(cv2.CAP_PROP_FRAME_COUNT)) == 5
    assert film.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    assert film.get(cv2.CAP_PROP_FRAME_WIDTH) == 160 * 2 + 120
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"nothing")
    (result,) = inferencer(broken)
    assert "not a readable video" in result.error


def test_inputs_are_checked_first(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        list_inputs(tmp_path / "missing.jpg")
    with pytest.raises(DataError, match="no images"):
        list_inputs(tmp_path)
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(DataError, match="neither an image"):
        list_inputs(tmp_path / "x.txt")
    with pytest.raises(DataError, match="uint8 RGB"):
        list_inputs(np.zeros((5, 5)))
    with pytest.raises(DataError, match="no input"):
        list_inputs([])


def test_box_files(tmp_path):
    path = tmp_path / "boxes.json"
    path.write_text(
        json.dumps({"a.jpg": [1, 2, 30, 40], "b.jpg": [{"box": [1, 2, 30, 40], "hand": "left"}]})
    )
    boxes = read_boxes(path)
    assert boxes["a.jpg"] == [HandBox((1, 2, 30, 40))]
    assert boxes["b.jpg"] == [HandBox((1, 2, 30, 40), is_right=False)]
    assert parse_boxes(np.array([[1, 2, 3, 4], [5, 6, 7, 8]]))[1].box == (5, 6, 7, 8)
    with pytest.raises(DataError, match="x1 > x0"):
        parse_boxes([10, 10, 5, 20])
    with pytest.raises(DataError, match="'right' or 'left'"):
        parse_boxes({"box": [1, 2, 3, 4], "hand": "both"})
    with pytest.raises(DataError, match="expected"):
        parse_boxes([1, 2, 3])
    path.write_text("[1, 2")
    with pytest.raises(DataError, match="cannot read the box file"):
        read_boxes(path)


def test_boxes_by_file_name(inferencer, tmp_path):
    for name in ("a.png", "b.png"):
        write(tmp_path / name, dotted(200, 200, 100, 100))
    boxes = {"a.png": [[0, 0, 50, 50], [50, 50, 150, 150]]}
    results = inferencer(tmp_path, boxes=boxes)
    assert [len(result.hands) for result in results] == [2, 1]
    with pytest.raises(ConfigError, match="mapping from file name"):
        inferencer(tmp_path, boxes=[[0, 0, 50, 50]])


def test_command(inferencer, tmp_path, monkeypatch, capsys):
    from handzoo.apis import inferencer as module

    monkeypatch.setattr(
        module.HandInferencer, "_load", lambda self, *_: (inferencer.estimator, None, None)
    )
    image = write(tmp_path / "hand.png", dotted(224, 224, 120, 100))
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"x")
    out = tmp_path / "out"
    arguments = ["--model", "dot", "--out", str(out), "--hand", "left", "--device", "cpu"]
    assert infer.main([str(image), str(bad), *arguments]) == 0
    printed = capsys.readouterr().out
    assert "1 hands in 1 pictures" in printed and "skipped" in printed
    assert json.loads((out / "predictions.json").read_text())["model"] == "dot"
    assert infer.main([str(bad), *arguments]) == 1


def test_a_real_estimator_from_its_config(monkeypatch, tmp_path, caplog):
    """CLIP-Hand's parts, small: the crop has the size of the config's pipeline."""
    from pathlib import Path

    import torch

    monkeypatch.setenv("HANDZOO_DATA", str(tmp_path))
    torch.manual_seed(0)
    config = Path(__file__).parents[2] / "configs" / "cliphand" / "tiny_sample.py"
    real = HandInferencer(str(config), device="cpu")
    assert "untrained weights" in caplog.text
    assert real.crop_size == 128
    assert [row["name"] for row in real.info["resources"]] == ["hand_model"]
    pictures = [dotted(300, 200, 100, 100), dotted(224, 224, 100, 100)]
    results = real(pictures)
    for result in results:
        (hand,) = result.hands
        for name in ("joints3d", "vertices", "joints2d", "camera", "translation"):
            assert np.isfinite(getattr(hand, name)).all()
        assert np.abs(hand.joints3d).max() < 2
    # One by one or in a batch, the same hands.
    again = [real(picture).hands[0].joints3d for picture in pictures]
    np.testing.assert_allclose(again, [hand.joints3d for hand in results.hands], atol=1e-5)
