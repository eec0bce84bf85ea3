"""The authors' MeshGraphormer checkpoint, fabricated: accounted for, refused, and at work."""

from __future__ import annotations

import pytest
import timm
import torch

from handzoo.engine.checkpoint import load_weights, read_checkpoint
from handzoo.engine.config import load_config
from handzoo.errors import CheckpointError, ConfigError
from handzoo.registry import CONVERTERS, ESTIMATORS
from handzoo.zoo.convert import convert
from handzoo.zoo.convert.base import ConversionReport, account, carry_out
from tests.handzoo_plugins.graphormer.reference_graphormer import (
    graphormer_forward,
    graphormer_state,
)

NAME = "graphormer/graphormer_h64_freihand"


def on_meta() -> dict[str, torch.Tensor]:
    """The authors' whole state dict: names and shapes only."""
    with torch.device("meta"):
        net = timm.create_model("hrnet_w64")  # with the classifier, as theirs
        backbone = {f"backbone.{name}": value for name, value in net.state_dict().items()}
    return {**backbone, **graphormer_state(device="meta")}


@pytest.fixture(scope="module")
def model(hand, topology):
    config = {**load_config(NAME).model, "hand_model": hand, "topology": topology}
    with torch.device("meta"):
        return ESTIMATORS.build(config, key="model")


def plan_of(state):
    return CONVERTERS.get("graphormer")().plan(state)


def test_every_tensor_is_accounted_for_and_counts_are_the_authors(model):
    state = on_meta()
    plan = plan_of(state)
    assert plan.config == NAME
    assert set(carry_out(plan, state, model)) == set(model.state_dict())
    report = ConversionReport("", NAME, "", "")
    account(plan, state, report)
    assert (report.parameters, report.live) == (213_666_312, 168_766_048)
    assert sorted(row.source for row in report.rows) == sorted(state)
    unused = {row.source for row in report.rows if row.status == "unused"}
    allowed = (".bert.embeddings.", ".bert.pooler.", "backbone.classifier.", ".skip_conv.")
    assert all(any(part in source for part in allowed) for source in unused)
    assert all(row.note for row in report.rows if row.status == "unused")


def test_the_name_is_qualified_or_bare():
    assert CONVERTERS.get("graphormer") is CONVERTERS.get("graphormer/graphormer")
    with pytest.raises(ConfigError, match="'graphormer'"):
        CONVERTERS.get("graphormr")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"upsampling2.weight": (1,)}, "body"),
        ({"backbone.transition1.0.0.weight": (40, 256, 3, 3)}, "width 40"),
        ({"surprise.weight": (1,)}, "no place.*surprise"),
        ({"trans_encoder.2.bert.encoder.layer.0.graph_conv.gate.W": (1,)}, "no place.*gate"),
        ({"trans_encoder.1.bert.encoder.layer.0.graph_conv.conv.weight": (1, 1)}, "no.* for"),
        ({"grid_feat_dim.weight": (2051, 2048)}, r"grid_proj.weight.*1024.*2048"),
    ],
)
def test_another_model_is_refused(model, change, said):
    state = on_meta()
    state |= {name: torch.empty(shape, device="meta") for name, shape in change.items()}
    with pytest.raises(CheckpointError, match=said):
        carry_out(plan_of(state), state, model)


@pytest.mark.parametrize(
    "lost",
    [
        "grid_feat_dim.bias",
        "trans_encoder.2.bert.encoder.layer.3.graph_conv.lin2.W",
        "trans_encoder.0.bert.position_embeddings.weight",
        "backbone.final_layer.0.weight",
    ],
)
def test_a_missing_tensor_is_an_error(model, lost):
    state = on_meta()
    del state[lost]
    with pytest.raises(CheckpointError, match="incomplete"):
        carry_out(plan_of(state), state, model)


def test_resnets_and_metro_are_called_by_their_names():
    state = {k: v for k, v in on_meta().items() if not k.startswith("backbone.")}
    resnet = {
        **state,
        **{f"backbone.6.{block}.conv3.weight": torch.empty(1) for block in range(6)},
    }
    with pytest.raises(CheckpointError, match="HRNet only"):
        plan_of(resnet)
    metro = {k: v for k, v in state.items() if "graph_conv" not in k and "grid_feat" not in k}
    with pytest.raises(CheckpointError, match="METRO's hand network"):
        plan_of(metro)


def with_statistics(net: torch.nn.Module) -> torch.nn.Module:
    """Give a random network the batch norms of random images: others let it explode."""
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        net.train()(torch.randn(4, 3, 64, 64))
    return net.eval()


@pytest.mark.slow
def test_the_authors_file_gives_the_authors_output(tmp_path, hand, topology, neighbours):
    """Full size: convert a file as the authors save it, load it, compare with their formulas."""
    torch.manual_seed(0)
    net = with_statistics(timm.create_model("hrnet_w64"))
    state = {f"backbone.{name}": value for name, value in net.state_dict().items()}
    state |= graphormer_state(words=11)
    torch.save(state, tmp_path / "graphormer_hand_state_dict.bin")
    output = tmp_path / "ours.safetensors"
    report = convert("graphormer", tmp_path / "graphormer_hand_state_dict.bin", output)
    assert report.config == NAME
    config = {**load_config(NAME).model, "hand_model": hand, "topology": topology}
    model = ESTIMATORS.build(config, key="model").eval()
    load_weights(model, read_checkpoint(output), NAME)
    image = torch.randn(1, 3, 224, 224)
    grids = []
    net.final_layer.register_forward_pre_hook(lambda module, given: grids.append(given[0]))
    with torch.no_grad():
        prediction = model(image)
        feature = net.forward_head(net.forward_features(image), pre_logits=True)[0]
        template = model.query_head.template
        wanted = graphormer_forward(state, template, feature, grids[0][0], neighbours)
    got = {
        "camera": prediction.camera[0],
        "joints": prediction.joints[0],
        "coarse": prediction.coarse_vertices[0],
        "fine": prediction.vertices[0],
    }
    for name, value in got.items():
        error = (value.double() - wanted[name]).abs().max() / wanted[name].abs().max()
        assert error < 1e-4, name
