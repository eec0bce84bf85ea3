"""The labeller against templates that are turned, scaled and disturbed."""

import json

import numpy as np
import pytest
from fabricate import make_freihand
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from handzoo.apis.label_gestures import main
from handzoo.datasets import FreiHAND
from handzoo.datasets.gesture_labels import nearest_gestures, procrustes_to_templates
from handzoo.hands.gestures import GESTURES, gesture_templates


@pytest.fixture(scope="module")
def templates():
    return np.asarray(gesture_templates(), dtype=np.float64)


def test_distance_is_that_of_scipys_procrustes():
    rng = np.random.default_rng(0)
    hands, templates = rng.normal(size=(4, 21, 3)), rng.normal(size=(3, 21, 3))
    # Make every pair nearly alike, so that the best rotation has no reflection.
    templates = hands[:1] + 0.2 * templates
    hands = np.stack([r.apply(hands[0]) for r in Rotation.random(4, rng=rng)])
    distance, _ = procrustes_to_templates(hands, templates)
    for n, hand in enumerate(hands):
        size = np.linalg.norm(hand - hand.mean(0))
        for t, template in enumerate(templates):
            first, second, _ = procrustes(hand, template)
            expected = np.linalg.norm(first - second, axis=1).mean() * size
            assert distance[n, t] == pytest.approx(expected, rel=1e-9)


def test_templates_find_themselves(templates):
    rng = np.random.default_rng(1)
    for angle in (0, 10, 20):
        turn = Rotation.from_euler("xyz", rng.uniform(-angle, angle, (19, 3)), degrees=True)
        hands = np.stack([r.apply(h) for r, h in zip(turn, templates, strict=True)])
        hands = hands * rng.uniform(0.8, 1.2, (19, 1, 1)) + rng.normal(0, 0.0005, hands.shape)
        found, distance = nearest_gestures(hands, templates)
        wrong = [(GESTURES[i], GESTURES[f]) for i, f in enumerate(found) if f != i]
        assert not wrong
        assert distance[:-1].max() < 0.004


def test_a_hand_like_none_is_no_gesture(templates):
    hands = np.random.default_rng(2).normal(0, 0.05, (5, 21, 3))
    found, _ = nearest_gestures(hands, templates)
    assert {GESTURES[i] for i in found} == {"no_gesture"}


def test_tool_writes_labels_that_the_dataset_reads(tmp_path, templates, capsys):
    content = make_freihand(tmp_path, unique=3)
    for i, name in enumerate(("peace", "fist")):
        content["xyz"][i] = (templates[GESTURES.index(name)] + [0, 0, 0.7]).tolist()
    (tmp_path / "training_xyz.json").write_text(json.dumps(content["xyz"]))
    (tmp_path / "training_scale.json").unlink()
    main(["--data", str(tmp_path), "--split", "training"])
    assert "peace" in capsys.readouterr().out
    dataset = FreiHAND(tmp_path)
    names = [dataset.get_data_info(i)["gesture_name"] for i in range(3)]
    assert names == ["peace", "fist", "no_gesture"]
