"""Reading and writing checkpoints."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from handzoo.engine.checkpoint import Checkpoint, load_weights, read_checkpoint
from handzoo.engine.compat import make_plain, plain_checkpoint
from handzoo.engine.hooks.checkpoint import pick_metric
from handzoo.engine.train import train
from handzoo.errors import CheckpointError, ConfigError


class Evil:
    """Pickles to a call of a function."""

    def __reduce__(self):
        return print, ("executed",)


def test_checkpoints_load_weights_only(make_config):
    result = train(make_config(), max_iters=7)
    for name in ("last.pth", "best.pth"):
        content = torch.load(result.work_dir / name, weights_only=True)
        assert content["message_hub"]["log_scalars"] == {}
        assert isinstance(content["meta"]["metrics"], dict)
        assert isinstance(content["meta"]["dataset_meta"]["tips"], torch.Tensor)


def test_plain_values_survive_a_weights_only_round_trip(tmp_path):
    value = {
        "scalar": np.float64(1.5),
        "flag": np.bool_(True),
        "array": np.arange(3),
        "nested": [{"a": (np.int32(2), None)}],
        "dtype": torch.float16,
        "other": tmp_path,
    }
    torch.save(make_plain(value), tmp_path / "x.pth")
    read = torch.load(tmp_path / "x.pth", weights_only=True)
    assert read["scalar"] == 1.5 and read["flag"] is True
    assert torch.equal(read["array"], torch.arange(3))
    assert read["nested"] == [{"a": (2, None)}]
    assert read["dtype"] is torch.float16 and read["other"] == str(tmp_path)


def test_plain_checkpoint_drops_histories():
    from mmengine.logging import HistoryBuffer

    hub = {"log_scalars": {"loss": HistoryBuffer()}, "runtime_info": {"x": np.float32(1)}}
    plain = plain_checkpoint({"message_hub": {**hub, "resumed_keys": {"loss": True, "x": True}}})
    assert plain["message_hub"]["log_scalars"] == {}
    assert type(plain["message_hub"]["runtime_info"]["x"]) is float


def test_failed_write_leaves_the_checkpoint_before_intact(make_config, monkeypatch):
    result = train(make_config(), max_iters=6)
    path = result.work_dir / "last.pth"
    before = path.read_bytes()
    save = torch.save

    def half(content, file):
        save({"half": torch.zeros(1000)}, file)
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="No space left"):
        train(make_config(), resume="auto", max_iters=8)
    assert path.read_bytes() == before
    assert not [name for name in result.work_dir.iterdir() if name.name.startswith(".")]


def test_unreadable_files_say_what_is_wrong(tmp_path):
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        read_checkpoint(tmp_path / "none.pth")
    (tmp_path / "cut.pth").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(CheckpointError, match="cut.pth.*(damaged|more than tensors)"):
        read_checkpoint(tmp_path / "cut.pth")
    (tmp_path / "cut.safetensors").write_bytes(b"123")
    with pytest.raises(CheckpointError, match="cut.safetensors"):
        read_checkpoint(tmp_path / "cut.safetensors")
    torch.save({"state_dict": {}}, tmp_path / "empty.pth")
    with pytest.raises(CheckpointError, match="no 'state_dict'"):
        read_checkpoint(tmp_path / "empty.pth")


def test_code_in_a_checkpoint_is_not_executed(tmp_path, capsys):
    torch.save({"state_dict": {"a": torch.ones(1)}, "x": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match="loads no other code"):
        read_checkpoint(tmp_path / "evil.pth")
    assert "executed" not in capsys.readouterr().out


def test_safetensors_and_wrapped_keys_are_read(tmp_path):
    note = {"handzoo": json.dumps({"model": "toy"})}
    save_file({"weight": torch.ones(2)}, tmp_path / "w.safetensors", metadata=note)
    read = read_checkpoint(tmp_path / "w.safetensors")
    assert read.model == "toy" and torch.equal(read.state_dict["weight"], torch.ones(2))
    torch.save({"module.weight": torch.ones(2)}, tmp_path / "ddp.pth")
    assert list(read_checkpoint(tmp_path / "ddp.pth").state_dict) == ["weight"]


def checkpoint_of(model: nn.Module, **changes) -> Checkpoint:
    state = {key: value.clone() + 1 for key, value in model.state_dict().items()}
    state.update(changes)
    state = {key: value for key, value in state.items() if value is not None}
    return Checkpoint("x.pth", state, {"handzoo": {"model": "theirs"}})


def test_fitting_weights_are_taken_over_and_counted():
    model = nn.Linear(3, 2)
    checkpoint = checkpoint_of(model)
    report = load_weights(model, checkpoint)
    assert torch.equal(model.weight, checkpoint.state_dict["weight"])
    assert report.parameters == 8 and "loaded 2 of 2 tensors" in str(report)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bias": None}, "missing in the checkpoint: bias"),
        ({"extra": torch.ones(1)}, "not in the model: extra"),
        ({"weight": torch.ones(5, 3)}, r"shapes differ: weight \(5, 3\) for \(2, 3\)"),
    ],
)
def test_misfits_name_both_models_and_leave_the_model_alone(changes, words):
    model = nn.Linear(3, 2)
    before = model.weight.detach().clone()
    with pytest.raises(CheckpointError, match=f"made with theirs and does not fit ours.*{words}"):
        load_weights(model, checkpoint_of(model, **changes), "ours")
    assert torch.equal(model.weight, before)


def test_allow_list_admits_named_keys_only():
    model = nn.Linear(3, 2)
    changes = {"bias": None, "guidance.a": torch.ones(1)}
    with pytest.raises(CheckpointError, match="bias"):
        load_weights(model, checkpoint_of(model, **changes), allowed_missing=["guidance.*"])
    report = load_weights(
        model, checkpoint_of(model, **changes), allowed_missing=["guidance.*", "bias"]
    )
    assert (report.missing, report.unexpected) == (["bias"], ["guidance.a"])


def test_metric_that_decides_is_found_by_name():
    metrics = {"x/MPJPE": 2.0, "x/PA-MPJPE": 1.0, "x/AUC-J": 0.5}
    assert pick_metric("auto", metrics) == "x/PA-MPJPE"
    assert pick_metric("AUC-J", metrics) == "x/AUC-J"
    assert pick_metric("auto", {"x/AUC-J": 0.5}) is None
    with pytest.raises(ConfigError, match="save_best.*Did you mean 'MPJPE'"):
        pick_metric("MPJP", metrics)
