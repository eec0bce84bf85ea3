"""Prediction filters in video inference: frames, tracks, left hands, moving boxes, the command."""

import json

import cv2
import numpy as np
import pytest
from fake_estimator import DotEstimator, dotted

from handzoo.apis import infer
from handzoo.apis.filters import HandState, PredictionFilter, TrackFilter, parse_filter
from handzoo.apis.filters.tracks import from_state, to_state
from handzoo.apis.inferencer import HandInferencer
from handzoo.apis.results import ImageResult
from handzoo.errors import ConfigError
from handzoo.testing import ConformanceError, conformance_checks


class Mean(PredictionFilter):
    """The mean of all frames so far."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.seen = []

    def __call__(self, hand, timestamp):
        self.seen.append(hand)
        return HandState(
            *(
                np.mean([getattr(state, name) for state in self.seen], axis=0, dtype=np.float64)
                .astype(getattr(hand, name).dtype)
                for name in ("joints", "vertices", "camera")
            )
        )  # fmt: skip


class Peeking(Mean):
    """Forgets nothing, moves hands at rest, shares its memory with its copies."""

    memory = []

    def reset(self):
        self.seen = self.memory


@pytest.fixture(scope="module")
def estimator():
    return DotEstimator()


def video(path, dots, size=(320, 240), fps=10.0):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), fps, size)
    for dot in dots:
        writer.write(np.ascontiguousarray(dotted(*size, *dot)[..., ::-1]))
    writer.release()
    return path


@pytest.mark.parametrize("check", conformance_checks("prediction_filter"), ids=str)
def test_conformance_of_a_plain_filter(check, monkeypatch):
    from handzoo.registry import PREDICTION_FILTERS

    monkeypatch.setitem(PREDICTION_FILTERS.module_dict, "Mean", Mean)
    check(dict(type="Mean"))


@pytest.mark.parametrize("name", ["reset", "copies"])
def test_conformance_finds_what_is_remembered(name, monkeypatch):
    from handzoo.registry import PREDICTION_FILTERS

    monkeypatch.setitem(PREDICTION_FILTERS.module_dict, "Peeking", Peeking)
    monkeypatch.setattr(Peeking, "memory", [])
    (check,) = (c for c in conformance_checks("prediction_filter") if c.name == name)
    with pytest.raises(ConformanceError):
        check(dict(type="Peeking"))


@pytest.mark.parametrize("hand_side", ["right", "left"])
def test_state_round_trip(estimator, hand_side):
    """State and back is the same hand; the state's camera projects the wrist."""
    inferencer = HandInferencer(estimator, device="cpu")
    image = dotted(640, 360, 500, 90)
    (hand,) = inferencer(image, boxes=(420, 20, 560, 150), hand=hand_side, K=700.0)[0].hands
    state = to_state(hand, image.shape[:2])
    back = from_state(state, hand, image.shape[:2])
    for name in ("joints3d", "vertices", "joints2d", "camera", "translation"):
        np.testing.assert_allclose(
            getattr(back, name), getattr(hand, name), rtol=1e-5, atol=1e-5, err_msg=name
        )
    sign = 1 if hand_side == "right" else -1
    pixels = state.camera[0] * state.joints[:, :2] + state.camera[1:]
    pixels = pixels * [sign, 1] * 320 + [319.5, 179.5]
    np.testing.assert_allclose(pixels, hand.joints2d, atol=1e-3)


def test_a_mirrored_video_filters_alike(estimator):
    """What a filter sees of a left hand is the right hand of the mirrored picture."""
    inferencer = HandInferencer(estimator, device="cpu")
    image = dotted(300, 200, 170, 90)
    right = inferencer(image, boxes=(100, 40, 240, 180))[0].hands[0]
    flipped = np.ascontiguousarray(image[:, ::-1])
    left = inferencer(flipped, boxes=(59, 40, 199, 180), hand="left")[0].hands[0]
    one, two = (to_state(hand, (200, 300)) for hand in (right, left))
    np.testing.assert_allclose(one.joints, two.joints, atol=1e-6)
    np.testing.assert_allclose(one.camera, two.camera, atol=1e-3)


def test_state_does_not_see_the_box(estimator):
    """Two boxes round the same hand: two crop cameras, one camera in the picture."""
    inferencer = HandInferencer(estimator, device="cpu", box_factor=1.0)
    image = dotted(640, 360, 300, 200)
    wide, moved = (
        inferencer(image, boxes=box)[0].hands[0]
        for box in ((200, 100, 400, 300), (220, 90, 420, 290))
    )
    assert abs(wide.camera - moved.camera).max() > 5e-3
    one, two = (to_state(hand, (360, 640)) for hand in (wide, moved))
    np.testing.assert_allclose(one.camera, two.camera, atol=2e-3)


def test_videos_are_filtered_and_start_anew(estimator, tmp_path):
    dots = [(100 + 10 * k, 120) for k in range(5)]
    paths = [video(tmp_path / name, dots) for name in ("a.mp4", "b.mp4")]
    still = tmp_path / "still.png"
    cv2.imwrite(str(still), dotted(320, 240, 200, 100)[..., ::-1])
    inferencer = HandInferencer(estimator, device="cpu", batch_size=2, filter=Mean())
    plain = HandInferencer(estimator, device="cpu", batch_size=2)
    inputs = [paths[0], still, paths[1]]
    found, raw = ([r.hands[0].joints2d[0, 0] for r in each(inputs)] for each in (inferencer, plain))
    running = [np.mean(raw[:k]) for k in range(1, 6)]
    np.testing.assert_allclose(found[:5], running, atol=0.1)
    assert found[5] == pytest.approx(raw[5])
    np.testing.assert_allclose(found[6:], running, atol=0.1)
    again = [r.hands[0].joints2d[0, 0] for r in inferencer(inputs)]
    np.testing.assert_array_equal(again, found)
    assert inferencer.info["filter"] == "Mean" and "filter" not in plain.info


def frames(estimator, boxes_of_frames, fps=10.0):
    """Results of pictures as if they were frames; boxes are (x0, y0, x1, y1, hand)."""
    inferencer = HandInferencer(estimator, device="cpu", box_factor=1.0)
    for frame, boxes in enumerate(boxes_of_frames):
        image = dotted(640, 360, 0, 0)
        for x0, y0, x1, y1, _ in boxes:
            cv2.circle(image, ((x0 + x1) // 2, (y0 + y1) // 2), 3, (250, 100, 100), -1)
        given = [{"box": box[:4], "hand": box[4]} for box in boxes]
        (result,) = inferencer(image, boxes=given)
        yield ImageResult("film", image, result.hands, frame, fps)


class Count(Mean):
    """Marks the hand with the number of frames that its filter has seen."""

    def __call__(self, hand, timestamp):
        super().__call__(hand, timestamp)
        joints = np.full_like(hand.joints, len(self.seen))
        return HandState(joints, hand.vertices, hand.camera)


def counts(results):
    filtered = TrackFilter(Count(), max_gap=0.35)
    return [[abs(h.joints3d[0, 0]) for h in filtered(result).hands] for result in results]


def test_each_hand_has_its_own_filter_whatever_their_order(estimator):
    a, b = (40, 40, 140, 140, "right"), (400, 200, 500, 300, "right")
    near = (60, 40, 160, 140, "right")
    results = frames(estimator, [[a], [a, b], [b, near], [a, b]])
    assert counts(results) == [[1], [2, 1], [2, 3], [4, 3]]


def test_another_side_a_far_box_or_a_long_gap_is_another_hand(estimator):
    a, left = (40, 40, 140, 140, "right"), (40, 40, 140, 140, "left")
    far = (300, 40, 400, 140, "right")
    assert counts(frames(estimator, [[a], [left], [a]])) == [[1], [1], [2]]
    assert counts(frames(estimator, [[a], [far], [a]])) == [[1], [1], [2]]
    assert counts(frames(estimator, [[a], [], [], [a], [a]])) == [[1], [], [], [2], [3]]
    assert counts(frames(estimator, [[a], [], [], [], [a], [a]])) == [[1], [], [], [], [1], [2]]


def test_a_broken_prediction_does_not_stay_in_the_memory(estimator):
    a = (40, 40, 140, 140, "right")
    results = list(frames(estimator, [[a]] * 4))
    results[1].hands[0].joints3d[:] = np.nan
    filtered = TrackFilter(Mean())
    found = [filtered(result).hands[0] for result in results]
    assert np.isnan(found[1].joints3d).all()
    assert np.isfinite(found[3].joints3d).all()


def test_parse_filter():
    assert parse_filter("temporal/OneEuro") == {"type": "temporal/OneEuro"}
    wanted = {"type": "A", "beta": 0.5, "names": ["x"]}
    assert parse_filter("dict(type='A', beta=0.5, names=['x'])") == wanted
    assert parse_filter(str(wanted)) == wanted
    for wrong in ("dict(type=open('x'))", "dict('A')", "dict(**{})", "{'a': 1"):
        with pytest.raises(ConfigError, match="filter: cannot read"):
            parse_filter(wrong)


def test_unknown_filters_are_named(estimator):
    with pytest.raises(ConfigError, match="filter.*OneEuroo"):
        HandInferencer(estimator, device="cpu", filter="OneEuroo")
    with pytest.raises(ConfigError, match="PredictionFilter"):
        HandInferencer(estimator, device="cpu", filter=object())
    assert HandInferencer(estimator, device="cpu", filter="none").filter is None


def test_command_filters_and_says_so(estimator, tmp_path, monkeypatch):
    from handzoo.apis import inferencer as module
    from handzoo.registry import PREDICTION_FILTERS

    monkeypatch.setitem(PREDICTION_FILTERS.module_dict, "Mean", Mean)
    monkeypatch.setattr(module.HandInferencer, "_load", lambda self, *_: (estimator, None, None))
    film = video(tmp_path / "wave.mp4", [(100 + 10 * k, 120) for k in range(4)])
    written = {}
    for name in ("Mean", "none"):
        out = tmp_path / name
        arguments = ["--model", "dot", "--out", str(out), "--device", "cpu", "--filter", name]
        assert infer.main([str(film), *arguments]) == 0
        written[name] = json.loads((out / "predictions.json").read_text())
    assert written["Mean"]["filter"] == {"type": "Mean"} and "filter" not in written["none"]
    x = {
        name: [row["hands"][0]["joints2d"][0][0] for row in content["results"]]
        for name, content in written.items()
    }
    assert x["Mean"][-1] == pytest.approx(np.mean(x["none"]), abs=0.1)
