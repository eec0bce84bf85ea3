"""Converters of METRO's and FastMETRO's released checkpoints, on fabricated ones."""

from __future__ import annotations

import json
import os
import pickle

import pytest
import torch
from torch import nn

from handzoo.cli import main as handzoo_main
from handzoo.engine.checkpoint import load_weights, read_checkpoint
from handzoo.engine.config import load_config
from handzoo.errors import CheckpointError, ConfigError
from handzoo.hands.models import build_hand_model
from handzoo.hands.topology import build_topology
from handzoo.registry import CONVERTERS, ESTIMATORS
from handzoo.zoo.convert import convert, run
from handzoo.zoo.convert.base import ConversionReport, account, carry_out, is_statistic
from handzoo.zoo.convert.reading import read_state_dict
from tests.models.reference_metro import (
    fastmetro_forward,
    fastmetro_state,
    metro_forward,
    metro_state,
)

LAYERS = {"s": 1, "m": 2, "l": 3}

# Parameters of the authors' networks, built with their code: all, and those that an output
# depends on.
COUNTS = {
    "metro_h64_freihand": (229_427_461, 184_543_837),
    "metro_r50_freihand": (124_875_549, 82_040_925),
    "fastmetro_s_r50_freihand": (32_687_814, 32_687_814),
    "fastmetro_m_r50_freihand": (40_507_078, 40_507_078),
    "fastmetro_l_r50_freihand": (48_326_342, 48_326_342),
    "fastmetro_s_h64_freihand": (137_239_726, 135_190_726),
    "fastmetro_m_h64_freihand": (145_058_990, 143_009_990),
    "fastmetro_l_h64_freihand": (152_878_254, 150_829_254),
}


@pytest.fixture(scope="module")
def hand():
    return build_hand_model("bundled", tips="metro")


@pytest.fixture(scope="module")
def topology(hand):
    return build_topology(hand)


def resnet_backbone(drop: int) -> nn.Sequential:
    """The authors' ResNet-50: torchvision's children without the last ``drop``."""
    from torchvision.models import resnet50

    return nn.Sequential(*list(resnet50().children())[:-drop])


def backbone_state(variant: str, drop: int = 1) -> dict[str, torch.Tensor]:
    """``backbone.*`` as the authors save it."""
    if variant == "h64":
        import timm

        net = timm.create_model("hrnet_w64")  # with the classifier, as theirs
    else:
        net = resnet_backbone(drop)
    return {f"backbone.{name}": value for name, value in net.state_dict().items()}


def on_meta(name: str) -> dict[str, torch.Tensor]:
    """The authors' whole state dict for one of our configs: names and shapes only."""
    method, *size, variant, _ = name.split("_")
    if method == "metro":
        state = metro_state(device="meta")
    else:
        state = fastmetro_state(LAYERS[size[0]], device="meta")
    with torch.device("meta"):
        return {**backbone_state(variant), **state}


def build(name: str, hand, topology) -> nn.Module:
    """The estimator of a config on the bundled hand."""
    model = {**load_config(name).model, "hand_model": hand, "topology": topology}
    return ESTIMATORS.build(model, key="model")


@pytest.fixture(scope="module")
def small_fastmetro(tmp_path_factory) -> tuple[str, dict[str, torch.Tensor], nn.Sequential]:
    """A whole FastMETRO-S-R50 with random weights: file, tensors, backbone."""
    torch.manual_seed(0)
    backbone = resnet_backbone(drop=2).eval()
    state = {f"backbone.{name}": value for name, value in backbone.state_dict().items()}
    state |= fastmetro_state(1)
    path = tmp_path_factory.mktemp("authors") / "FastMETRO-S-R50_freihand_state_dict.bin"
    torch.save(state, path)
    return str(path), state, backbone


@pytest.mark.parametrize("name", COUNTS)
def test_every_tensor_is_accounted_for_and_counts_are_the_authors(name, hand, topology):
    state = on_meta(name)
    plan = CONVERTERS.get(name.split("_")[0])().plan(state)
    assert plan.config == name
    with torch.device("meta"):
        model = build(name, hand, topology)
    ours = carry_out(plan, state, model)
    assert set(ours) == set(model.state_dict())
    report = ConversionReport("", name, "", "")
    account(plan, state, report)
    live = sum(parameter.numel() for parameter in model.parameters())
    assert (report.parameters, report.live) == COUNTS[name]
    assert live == COUNTS[name][1]
    assert sorted(row.source for row in report.rows) == sorted(state)
    for row in report.rows:
        assert (row.status == "unused") == (row.target == "")
        assert row.status == "mapped" or row.note
    unused = {row.source for row in report.rows if row.status == "unused"}
    allowed = (".bert.embeddings.", ".bert.pooler.", "backbone.classifier.")
    assert all(any(part in source for part in allowed) for source in unused)


def test_fastmetro_file_gives_the_authors_output(small_fastmetro, tmp_path, hand, topology):
    path, state, backbone = small_fastmetro
    report = convert("fastmetro", path, tmp_path / "ours.pth")
    assert report.config == "fastmetro_s_r50_freihand"
    model = build(report.config, hand, topology).eval()
    load_weights(model, read_checkpoint(tmp_path / "ours.pth"), report.config)
    image = torch.randn(1, 3, 224, 224)
    near = [set(row.nonzero().flatten().tolist()) for row in topology.hops <= 1]
    with torch.no_grad():
        prediction = model(image)
        wanted = fastmetro_forward(state, backbone(image)[0], near, topology.up)
    compare(prediction, wanted)


def test_metro_file_gives_the_authors_output(tmp_path, monkeypatch, hand, topology):
    sizes = {"block_channels": (64, 32, 16), "out_channels": (48, 24), "num_layers": 2}

    def small_model(name: str) -> nn.Module:
        cfg = load_config(name, {f"model.mesh_head.{key}": size for key, size in sizes.items()})
        model = {**cfg.model, "hand_model": hand, "topology": topology}
        return ESTIMATORS.build(model, key="model")

    monkeypatch.setattr(run, "_model", small_model)
    torch.manual_seed(0)
    backbone = resnet_backbone(drop=1).eval()
    state = {f"backbone.{name}": value for name, value in backbone.state_dict().items()}
    state |= metro_state(sizes["block_channels"], sizes["out_channels"], layers=2, words=11)
    torch.save(state, tmp_path / "metro_hand_state_dict.bin")
    output = tmp_path / "ours.safetensors"
    report = convert("metro", tmp_path / "metro_hand_state_dict.bin", output)
    assert report.config == "metro_r50_freihand"
    model = small_model(report.config).eval()
    load_weights(model, read_checkpoint(output), report.config)
    image = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        prediction = model(image)
        feature = backbone(image).flatten()
        wanted = metro_forward(state, model.query_head.template, feature)
    compare(prediction, wanted)


def compare(prediction, wanted: dict[str, torch.Tensor]) -> None:
    got = {
        "camera": prediction.camera[0],
        "joints": prediction.joints[0],
        "coarse": prediction.coarse_vertices[0],
        "fine": prediction.vertices[0],
    }
    for name, value in got.items():
        error = (value.double() - wanted[name]).abs().max() / wanted[name].abs().max()
        assert error < 1e-4, name


def test_both_formats_and_the_report(small_fastmetro, tmp_path):
    path, state, _ = small_fastmetro
    first = convert("fastmetro", path, tmp_path / "a.pth")
    second = convert("fastmetro", path, tmp_path / "b.safetensors", report=tmp_path / "r.json")
    a, b = read_checkpoint(tmp_path / "a.pth"), read_checkpoint(tmp_path / "b.safetensors")
    assert a.model == b.model == "fastmetro_s_r50_freihand"
    assert list(a.state_dict) and set(a.state_dict) == set(b.state_dict)
    assert all(torch.equal(a.state_dict[key], b.state_dict[key]) for key in a.state_dict)
    assert first.sha256 == second.sha256 == b.meta["handzoo"]["converted_from"]["sha256"]
    written = json.loads((tmp_path / "r.json").read_text())
    assert (tmp_path / "a.conversion.json").is_file()
    assert len(written["rows"]) == len(state)
    numbers = sum(value.numel() for name, value in state.items() if not is_statistic(name))
    assert written["parameters"] == written["live"] == numbers
    assert not list(tmp_path.glob("*.part"))


def test_command_prints_the_account(small_fastmetro, tmp_path, capsys):
    path, _, _ = small_fastmetro
    assert handzoo_main(["convert", "fastmetro", path, str(tmp_path / "ours.pth")]) == 0
    printed = capsys.readouterr().out
    assert "fastmetro_s_r50_freihand" in printed and "32.688 M live" in printed
    assert handzoo_main(["convert", "fastmetr", path, str(tmp_path / "x.pth")]) == 2
    assert "'fastmetro'" in capsys.readouterr().err
    assert not (tmp_path / "x.pth").exists()


def test_the_wanted_config_is_insisted_on(small_fastmetro, tmp_path):
    output = tmp_path / "ours.pth"
    with pytest.raises(CheckpointError, match="fastmetro_s_r50_freihand.*fastmetro_l_h64"):
        convert("fastmetro", small_fastmetro[0], output, config="fastmetro_l_h64_freihand")
    assert not output.exists()


@pytest.mark.parametrize(
    ("method", "names", "said"),
    [
        ("metro", ["transformer_1.encoder.norm.weight"], "FastMETRO's hand network"),
        ("fastmetro", ["trans_encoder.0.bert.img_embedding.weight"], "METRO's hand network"),
        ("metro", ["trans_encoder.0.bert.x", "conv_learn_tokens.weight"], "METRO's body network"),
        ("fastmetro", ["coarse2intermediate_upsample.weight"], "FastMETRO's body network"),
        ("metro", ["trans_encoder.0.bert.x", "grid_feat_dim.weight"], "MeshGraphormer"),
        ("metro", ["mesh_head.blocks.0.embed.weight"], "HandZoo model already"),
        ("metro", ["conv1.weight", "classifier.weight"], "image classifier"),
        ("metro", ["something.else"], "something.else"),
    ],
)
def test_another_model_is_called_by_its_name(method, names, said, tmp_path):
    path = tmp_path / "theirs.bin"
    torch.save({name: torch.zeros(1) for name in names}, path)
    with pytest.raises(CheckpointError, match=said):
        convert(method, path, tmp_path / "ours.pth")
    assert not (tmp_path / "ours.pth").exists()


def plan_of(name: str, state: dict[str, torch.Tensor]):
    return CONVERTERS.get(name.split("_")[0])().plan(state)


def test_other_backbones_are_named():
    state = on_meta("metro_h64_freihand")
    state["backbone.transition1.0.0.weight"] = torch.empty(40, 256, 3, 3, device="meta")
    with pytest.raises(CheckpointError, match="width 40"):
        plan_of("metro_h64_freihand", state)
    state = on_meta("metro_r50_freihand")
    state["backbone.6.22.conv1.weight"] = torch.empty(1, device="meta")
    with pytest.raises(CheckpointError, match="7 blocks"):
        plan_of("metro_r50_freihand", state)
    state = {k: v for k, v in state.items() if not k.startswith("backbone.")}
    with pytest.raises(CheckpointError, match="no backbone"):
        plan_of("metro_r50_freihand", state)


def test_other_depths_are_named(hand, topology):
    state = fastmetro_state(4, device="meta")
    with torch.device("meta"):
        state |= backbone_state("r50")
    with pytest.raises(CheckpointError, match="4 layers"):
        plan_of("fastmetro_l_r50_freihand", state)


@pytest.fixture(scope="module")
def metro_r50(hand, topology):
    with torch.device("meta"):
        return build("metro_r50_freihand", hand, topology)


@pytest.mark.parametrize(
    "lost",
    [
        "cam_param_fc3.bias",
        "trans_encoder.1.bert.encoder.layer.2.output.LayerNorm.weight",
        "trans_encoder.0.bert.position_embeddings.weight",
        "backbone.5.0.conv1.weight",
    ],
)
def test_a_missing_tensor_is_an_error(lost, metro_r50):
    state = on_meta("metro_r50_freihand")
    del state[lost]
    with pytest.raises(CheckpointError, match="incomplete"):
        carry_out(plan_of("metro_r50_freihand", state), state, metro_r50)


def test_a_missing_token_is_an_error(hand, topology):
    state = on_meta("fastmetro_s_r50_freihand")
    del state["cam_token_embed.weight"]
    with torch.device("meta"):
        model = build("fastmetro_s_r50_freihand", hand, topology)
    with pytest.raises(CheckpointError, match=r"cam_token_embed\.weight.*incomplete"):
        carry_out(plan_of("fastmetro_s_r50_freihand", state), state, model)


@pytest.mark.parametrize(
    "extra",
    [
        "surprise.weight",
        "cam_param_fc4.weight",
        "trans_encoder.0.bert.encoder.layer.0.attention.self.gate.weight",
        "backbone.9.weight",
    ],
)
def test_an_unknown_tensor_is_an_error(extra, metro_r50):
    state = {**on_meta("metro_r50_freihand"), extra: torch.empty(1, device="meta")}
    with pytest.raises(CheckpointError, match="no place.*" + extra.replace(".", r"\.")):
        carry_out(plan_of("metro_r50_freihand", state), state, metro_r50)


def test_a_deeper_or_wider_model_is_an_error(metro_r50):
    deeper = {**on_meta("metro_r50_freihand"), **metro_state(layers=5, device="meta")}
    with pytest.raises(CheckpointError, match="deeper"):
        carry_out(plan_of("metro_r50_freihand", deeper), deeper, metro_r50)
    wider = {**on_meta("metro_r50_freihand")}
    wider["upsampling.weight"] = torch.empty(779, 195, device="meta")
    with pytest.raises(CheckpointError, match="upsample.weight.*778.*779"):
        carry_out(plan_of("metro_r50_freihand", wider), wider, metro_r50)


class Foreign(nn.Module):
    """Stands for an author's class, which is not there when the file is read."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 3)
        self.norm = nn.BatchNorm1d(3)
        self.register_buffer("scratch", torch.ones(2), persistent=False)
        self.activation = torch.nn.functional.relu


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: model,
        lambda model: model.state_dict(),
        lambda model: {"epoch": 3, "state_dict": model.state_dict()},
        lambda model: {"model": {f"module.{k}": v for k, v in model.state_dict().items()}},
        lambda model: {"model": model},
    ],
)
def test_tensors_are_found_in_every_wrapping(wrap, tmp_path, monkeypatch):
    model = Foreign()
    torch.save(wrap(model), tmp_path / "file.bin")
    # The class must not be needed: reading may neither import nor call it.
    monkeypatch.setattr(Foreign, "__init__", None)
    found = read_state_dict(tmp_path / "file.bin")
    wanted = model.state_dict()
    assert set(found) == set(wanted)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


class Attack:
    """Runs a command when a pickle of it is read the usual way."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_code_in_a_file_is_not_run(tmp_path):
    marker = tmp_path / "ran"
    torch.save({"weight": torch.ones(2), "x": Attack(str(marker))}, tmp_path / "attack.bin")
    with pytest.raises(CheckpointError, match="without running code"):
        read_state_dict(tmp_path / "attack.bin")
    assert not marker.exists()


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        read_state_dict(tmp_path / "none.bin")
    broken = tmp_path / "broken.bin"
    torch.save({"weight": torch.ones(1000)}, broken)
    broken.write_bytes(broken.read_bytes()[:1500])
    with pytest.raises(CheckpointError, match="damaged"):
        read_state_dict(broken)
    empty = tmp_path / "empty.bin"
    torch.save({"epoch": 1}, empty)
    with pytest.raises(CheckpointError, match="no tensors"):
        read_state_dict(empty)
    plain = tmp_path / "plain.bin"
    plain.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(CheckpointError):
        read_state_dict(plain)
    (tmp_path / "x.safetensors").write_bytes(b"12345678")
    with pytest.raises(CheckpointError, match="safetensors"):
        read_state_dict(tmp_path / "x.safetensors")


def test_output_and_method_are_checked(small_fastmetro, tmp_path):
    with pytest.raises(CheckpointError, match="safetensors"):
        convert("fastmetro", small_fastmetro[0], tmp_path / "ours.onnx")
    with pytest.raises(ConfigError, match="'metro'"):
        convert("metroo", small_fastmetro[0], tmp_path / "ours.pth")
