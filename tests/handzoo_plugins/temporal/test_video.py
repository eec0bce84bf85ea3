"""The plugin's filters in video inference, by name, and how the plugin presents itself."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from handzoo.apis.inferencer import HandInferencer
from handzoo.engine.config import load_config
from handzoo.plugins import PluginManager
from tests.apis.fake_estimator import DotEstimator, dotted


def test_filters_steady_a_video(tmp_path):
    rng = np.random.default_rng(0)
    dots = np.array([160, 120]) + rng.integers(-4, 5, (20, 2))
    path = tmp_path / "shake.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 30.0, (320, 240))
    for dot in dots.tolist():
        writer.write(np.ascontiguousarray(dotted(320, 240, *dot)[..., ::-1]))
    writer.release()
    estimator = DotEstimator()
    wrists = {}
    for name in ("none", "temporal/OneEuro", "temporal/CausalRefiner"):
        results = HandInferencer(estimator, device="cpu", filter=name)(path)
        wrists[name] = np.array([result.hands[0].joints2d[0] for result in results])
        for result in results:
            (hand,) = result.hands
            # Whatever the filter did, picture and space agree.
            projected = (hand.joints3d[:1] + hand.translation) @ hand.K.T
            found = projected[:, :2] / projected[:, 2:]
            np.testing.assert_allclose(found, hand.joints2d[:1], atol=0.2)
    tremble = {name: np.abs(np.diff(x, axis=0)).mean() for name, x in wrists.items()}
    assert tremble["temporal/OneEuro"] < 0.8 * tremble["none"]
    # The joints of this estimator are steady; the network does little to the camera alone.
    assert tremble["temporal/CausalRefiner"] < tremble["none"]


@pytest.mark.parametrize("name", ["OneEuro", "CausalRefiner"])
def test_the_plugin_is_well_and_lazy(name):
    code = (
        "import sys; from handzoo.plugins import PluginManager; m = PluginManager();"
        "assert m.plugins['temporal'].state.value == 'ok';"
        "assert 'handzoo_plugins.temporal' not in sys.modules;"
        f"m.resolve('prediction_filter', 'temporal/{name}');"
        "assert 'handzoo_plugins.temporal' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    names = PluginManager().provided_names("prediction_filter")
    assert {f"temporal/{name}", name} <= set(names)


def test_configs_name_their_filter():
    one, two = (load_config(f"temporal/cliphand_s24_{k}") for k in ("one_euro", "refined"))
    assert one.prediction_filter.type == "temporal/OneEuro"
    assert two.prediction_filter.type == "temporal/CausalRefiner"
    assert one.model.backbone.arch == "S24"
