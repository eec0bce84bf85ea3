"""Exported models compute what the models compute, or are not written."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from handzoo.apis.export import check_export, export_model, main
from handzoo.apis.export_graph import Reported
from handzoo.errors import ConfigError
from handzoo.models.deploy.onnx import ExportError

sys.path.insert(0, str(Path(__file__).parents[1] / "models" / "deploy"))

from tiny import build, images  # noqa: E402

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("family", ["cliphand", "metro", "fastmetro"])
def test_onnx_of_every_family(family, tmp_path):
    """A reader with onnxruntime alone: batch sizes that the export never saw, by the sidecar."""
    model = build(family)
    path = tmp_path / "new" / "model.onnx"
    card = export_model(model, path, dynamic_batch=True, image_size=64, card={"model": family})
    assert sorted(p.name for p in path.parent.iterdir()) == ["model.onnx", "model.onnx.json"]
    assert json.loads((path.parent / "model.onnx.json").read_text())["sha256"] == card["sha256"]
    assert card["model"] == family and card["inputs"][0]["shape"] == ["batch", 3, 64, 64]
    assert card["inputs"][0]["normalisation"]["mean"] == pytest.approx([123.675, 116.28, 103.53])
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(None, {"image": images(5).numpy()})
    with torch.no_grad():
        expected = Reported(model)(images(5))
    assert [row["name"] for row in card["outputs"]] == list(expected)
    for row, value in zip(card["outputs"], found, strict=True):
        want = expected[row["name"]].numpy()
        assert np.abs(value - want).max() <= 1e-4 * np.abs(want).max(), row["name"]
    assert {p.domain for p in onnx.load(str(path)).opset_import} <= {"", "ai.onnx"}


def test_wrist_is_the_origin_where_the_method_leaves_it_free(tmp_path):
    path = tmp_path / "model.onnx"
    export_model(build("fastmetro"), path, image_size=64)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    joints, regressed = session.run(
        ["joints", "joints_from_vertices"], {"image": images(1).numpy()}
    )
    assert np.abs(joints[:, 0]).max() < 1e-6 and np.abs(regressed[:, 0]).max() < 1e-6


def test_tensorrt_graph_is_static(tmp_path):
    path = tmp_path / "model.onnx"
    card = export_model(build("metro"), path, format="tensorrt-onnx", batch_size=2, image_size=64)
    assert card["inputs"][0]["shape"] == [2, 3, 64, 64]
    with pytest.raises(ConfigError, match="static"):
        export_model(build("metro"), path, format="tensorrt-onnx", dynamic_batch=True)


def test_half_precision_keeps_inputs_and_outputs(tmp_path):
    model = build("metro")
    card = export_model(model, tmp_path / "half.onnx", dtype="fp16", image_size=64)
    full = export_model(model, tmp_path / "full.onnx", image_size=64)
    assert card["bytes"] < 0.6 * full["bytes"]
    assert {row["dtype"] for row in (*card["inputs"], *card["outputs"])} == {"float"}


def test_openvino(tmp_path):
    pytest.importorskip("openvino")
    card = export_model(build("metro"), tmp_path / "m.xml", format="openvino", image_size=64)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"m.xml", "m.bin", "m.xml.json"} and card["verification"]["differences"]


def test_the_culprit_is_named_and_nothing_is_written(tmp_path):
    model = build("fastmetro")

    class Head(type(model.mesh_head)):
        def forward(self, queries, features):
            prediction = super().forward(queries, features)
            return prediction.replace(joints=torch.linalg.pinv(prediction.joints).mT)

    model.mesh_head.__class__ = Head
    with pytest.raises(ExportError, match=r"mesh_head \(Head\).*aten::linalg_pinv"):
        export_model(model, tmp_path / "model.onnx", image_size=64)
    model.mesh_head.__class__ = type("Shy", (Head,), {"exportable": False})
    with pytest.raises(ExportError, match=r"mesh_head \(Shy\) says"):
        export_model(model, tmp_path / "model.onnx", image_size=64)
    assert not list(tmp_path.iterdir())


def test_a_graph_that_computes_something_else_is_not_written(tmp_path):
    model = build("metro")

    class Head(type(model.mesh_head)):
        calls = 0

        def forward(self, queries, features):
            Head.calls += 1  # a tracer records one value of what changes from call to call
            prediction = super().forward(queries, features)
            return prediction.replace(camera=prediction.camera + Head.calls)

    model.mesh_head.__class__ = Head
    with pytest.raises(ExportError, match="camera differs"):
        export_model(model, tmp_path / "model.onnx", image_size=64)
    assert not list(tmp_path.iterdir())


def test_check_of_a_written_file(tmp_path):
    model = build("metro")
    path = tmp_path / "model.onnx"
    with pytest.raises(ConfigError, match="export it first"):
        check_export(model, path, 64)
    export_model(model, path, image_size=64)
    assert max(check_export(model, path, 64).values()) < 1e-4
    with torch.no_grad():
        model.mesh_head.camera_out.bias += 1
    with pytest.raises(ExportError, match="camera"):
        check_export(model, path, 64)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ConfigError, match="is not the file"):
        check_export(model, path, 64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(format="tflite"), "--format"),
        (dict(dtype="int8"), "--dtype"),
        (dict(opset=11), "--opset 11"),
        (dict(batch_size=0), "--batch-size"),
        (dict(format="openvino"), r"ends in \.xml"),
    ],
)
def test_bad_options(options, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        export_model(None, tmp_path / "model.onnx", **options)


def test_missing_packages_are_named(monkeypatch):
    from handzoo.apis.export import needs_packages

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"onnx, onnxscript, onnxruntime.*handzoo\[export\]"):
        needs_packages("onnx")


def test_command(tmp_path, capsys):
    path = tmp_path / "tiny.onnx"
    assert main(["cliphand_tiny_sample", "--out", str(path)]) == 0
    assert "untrained" in capsys.readouterr().out
    card = json.loads((tmp_path / "tiny.onnx.json").read_text())
    assert card["inputs"][0]["shape"] == [1, 3, 128, 128] and card["checkpoint"] is None
    # Without a checkpoint the weights are drawn anew, and the check has to notice.
    with pytest.raises(ExportError, match="camera differs"):
        main(["cliphand_tiny_sample", "--out", str(path), "--check"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["cliphand_s24_freihand", "metro_r50_freihand", "fastmetro_s_r50_freihand"]
)
def test_full_size(name, tmp_path):
    from handzoo.zoo import get_model

    changes = dict(guidance=None) if "cliphand" in name else {}
    model = get_model(name, **changes)
    card = export_model(model, tmp_path / "model.onnx", format="tensorrt-onnx")
    assert max(card["verification"]["differences"].values()) < 1e-4
