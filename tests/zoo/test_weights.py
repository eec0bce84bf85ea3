"""Published weights, their cards, and models built from them."""

from __future__ import annotations

import json

import pytest
import torch
from mmengine.config import Config

from handzoo.engine.checkpoint import read_checkpoint
from handzoo.errors import CheckpointError, ConfigError, ResourceError
from handzoo.evaluation.protocol import Protocol
from handzoo.evaluation.results import EvaluationResult, file_sha256
from handzoo.resources import ASSETS
from handzoo.zoo import get_model, weights
from handzoo.zoo.index import ModelEntry
from handzoo.zoo.publish import publish
from handzoo.zoo.weights import ModelCard, find_weights, published_weights, read_card

RESOURCES = [
    {"name": "data/freihand", "status": "stand-in", "where": "sample", "how": "", "note": ""}
]


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "best.pth"
    about = {"model": "demo", "config": "model = dict()", "resources": RESOURCES, "plugins": []}
    state = {"head.weight": torch.rand(2, 3), "guidance.clip": torch.rand(4)}
    torch.save({"state_dict": state, "meta": {"handzoo": about}}, path)
    return path


@pytest.fixture
def entry(monkeypatch, tmp_path):
    """Makes find_weights see a model with published weights."""

    def make(**published) -> None:
        row = ModelEntry("demo", "Demo", str(tmp_path / "c" / "x.py"), "", "", weights=published)
        monkeypatch.setattr(weights, "get_entry", lambda name: row)

    monkeypatch.setenv("HANDZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HANDZOO_WEIGHTS_DIR", raising=False)
    return make


def test_published_file_holds_the_weights_and_the_card_says_what_they_are(checkpoint, tmp_path):
    path, card = publish(checkpoint, tmp_path / "out", licence="CC-BY-4.0", notes=["a note"])
    assert path.name == f"demo-{card.sha256[:8]}.safetensors" and card.sha256 == file_sha256(path)
    read = read_checkpoint(path)
    assert read.model == "demo" and list(read.state_dict) == ["head.weight"]
    original = read_checkpoint(checkpoint).state_dict["head.weight"]
    assert torch.equal(read.state_dict["head.weight"], original)
    again = read_card(path.with_suffix(".json"))
    assert again == card and again.parameters == 6 and again.licence == "CC-BY-4.0"
    assert again.stand_ins == ["data/freihand"]
    assert "trained with stand-ins for: data/freihand" in again.notes


def test_half_as_large_and_still_the_model(tmp_path):
    model = get_model("cliphand_tiny_sample", prior=None, guidance=None)
    about = {"handzoo": {"model": "cliphand_tiny_sample"}}
    torch.save({"state_dict": model.state_dict(), "meta": about}, tmp_path / "last.pth")
    (whole, _), (half, card) = (
        publish(tmp_path / "last.pth", tmp_path / name, half=name == "half")
        for name in ("whole", "half")
    )
    assert half.stat().st_size < 0.55 * whole.stat().st_size and "float16" in card.notes[-1]
    again = get_model("cliphand_tiny_sample", pretrained=half, prior=None, guidance=None)
    for key, value in model.state_dict().items():
        found = again.state_dict()[key]
        assert found.dtype == value.dtype
        torch.testing.assert_close(found, value, rtol=1e-3, atol=1e-6)


def test_paths_of_the_machine_stay_behind(tmp_path):
    rows = [
        {**RESOURCES[0], "where": str(ASSETS / "sample")},
        {**RESOURCES[0], "name": "hand_model", "where": "/home/ann/secret/MANO_RIGHT.pkl"},
    ]
    config = (
        "work_dir = '/home/ann/runs/7'\nload_from = '/home/ann/x.pth'\n"
        "data = [dict(root='/home/ann/freihand', size=3, split='training')]\n"
    )
    environment = {"torch": "2.0", "platform": "Linux-6.1-ann"}
    about = {"model": "demo", "config": config, "resources": rows, "environment": environment}
    torch.save({"state_dict": {"a": torch.ones(1)}, "meta": {"handzoo": about}}, tmp_path / "x.pth")
    path, card = publish(tmp_path / "x.pth", tmp_path / "out")
    assert [row["where"] for row in card.resources] == ["handzoo/assets/sample", "MANO_RIGHT.pkl"]
    assert card.data == "handzoo/assets/sample" and card.environment == {"torch": "2.0"}
    read = Config.fromstring(card.config, ".py")
    assert read.to_dict() == {"data": [{"root": "freihand", "size": 3, "split": "training"}]}
    for file in (path, path.with_suffix(".json")):
        assert b"ann" not in file.read_bytes()


def test_figures_must_be_of_this_checkpoint(checkpoint, tmp_path):
    def result(sha256: str) -> str:
        folder = tmp_path / sha256[:6]
        EvaluationResult(
            {"PA-MPJPE": 9.0}, Protocol().to_dict(), 3, checkpoint={"sha256": sha256}
        ).save(folder)
        return str(folder)

    _, card = publish(checkpoint, tmp_path / "out", metrics=result(file_sha256(checkpoint)))
    assert card.metrics == {"PA-MPJPE": 9.0} and card.protocol == Protocol().id
    with pytest.raises(CheckpointError, match="of another checkpoint"):
        publish(checkpoint, tmp_path / "out", metrics=result("0" * 64))


def test_nameless_checkpoint_needs_a_name(tmp_path):
    torch.save({"state_dict": {"a": torch.ones(1)}}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="--name"):
        publish(tmp_path / "x.pth", tmp_path)
    assert publish(tmp_path / "x.pth", tmp_path, name="mine")[1].model == "mine"


def test_weights_are_found_in_the_named_folder_and_checked(
    checkpoint, tmp_path, entry, monkeypatch
):
    path, card = publish(checkpoint, tmp_path / "out")
    entry(File=path.name, SHA256=card.sha256)
    monkeypatch.setenv("HANDZOO_WEIGHTS_DIR", str(path.parent))
    assert find_weights("demo") == path
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match="SHA-256.*damaged or is another one"):
        find_weights("demo")


def test_unreachable_weights_say_what_was_tried(entry):
    entry(File="x.safetensors", SHA256="0" * 64, URLs=["http://plain.example/x"])
    with pytest.raises(ResourceError, match="plain.example/x: not https.*HANDZOO_WEIGHTS_DIR"):
        find_weights("demo")


def test_only_a_model_that_has_weights_is_given_some(entry, monkeypatch, tmp_path):
    assert published_weights("cliphand_tiny_sample") is None
    mine = tmp_path / "tiny_sample.py"
    mine.write_text("model = dict(type='HandMeshEstimator')")
    assert published_weights(mine) is None
    with pytest.raises(ConfigError, match="cliphand_tiny_sample"):
        published_weights("cliphand_tiny_sampel")
    entry(File="x.safetensors", SHA256="0" * 64)
    monkeypatch.setattr(weights, "find_entry", weights.get_entry)
    with pytest.raises(ResourceError, match="not on this machine"):
        published_weights("cliphand_tiny_sample")


def test_unpublished_weights_are_an_error_not_a_random_model():
    with pytest.raises(ResourceError, match="no published weights.*pretrained=False"):
        get_model("cliphand_tiny_sample", pretrained=True)


@pytest.mark.parametrize(
    ("content", "words"),
    [("{", "cannot be read"), ('{"model": "x"}', "lacks file, sha256")],
)
def test_wrong_cards_are_refused(tmp_path, content, words):
    (tmp_path / "card.json").write_text(content)
    with pytest.raises(CheckpointError, match=words):
        read_card(tmp_path / "card.json")


def test_card_of_a_later_version_is_refused(tmp_path):
    ModelCard("m", "f", "0", version=99).save(tmp_path / "card.json")
    assert json.loads((tmp_path / "card.json").read_text())["version"] == 99
    with pytest.raises(CheckpointError, match="update HandZoo"):
        read_card(tmp_path / "card.json")


def test_model_is_built_with_overrides_and_own_weights(tmp_path):
    model = get_model("cliphand_tiny_sample", prior=None, guidance=None)
    assert not model.training and model.prior is None and model.guidance is None
    saved = {key: value + 1 for key, value in model.state_dict().items()}
    torch.save({"state_dict": saved}, tmp_path / "mine.pth")
    again = get_model(
        "cliphand_tiny_sample", pretrained=tmp_path / "mine.pth", prior=None, guidance=None
    )
    for key, value in again.state_dict().items():
        assert torch.equal(value, saved[key]), key
