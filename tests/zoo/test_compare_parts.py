"""Pieces of a comparison, each by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handzoo.engine.data_choice import dataset_names
from handzoo.errors import CheckpointError, ConfigError
from handzoo.evaluation.results import EvaluationResult
from handzoo.zoo.compare.data import chosen_indices
from handzoo.zoo.compare.figures import Figures, compute_figures, sequence_groups
from handzoo.zoo.compare.gallery import choose_samples
from handzoo.zoo.compare.outcome import ModelOutcome, Predictions, published_figures
from handzoo.zoo.compare.presets import preset_models, with_preset
from handzoo.zoo.compare.settings import Budget, Settings
from handzoo.zoo.compare.shared import what_is_shared
from handzoo.zoo.compare.specs import parse_specs
from handzoo.zoo.index import get_entry


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ConfigError, match="cliphand_s24_freihand"):
        parse_specs(["cliphand_s24_freihan"])


def test_a_missing_checkpoint_is_named_before_anything_runs(tmp_path):
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        parse_specs([f"cliphand_tiny_sample={tmp_path / 'none.pth'}"])


def test_models_without_weights_are_refused_with_the_cures():
    with pytest.raises(ConfigError, match=r"NAME=CHECKPOINT.*--budget.*--allow-random"):
        parse_specs(["metro_r50_freihand"], needs_weights=True)
    assert parse_specs(["metro_r50_freihand"])[0].checkpoint is None


def test_one_model_with_two_checkpoints_gets_two_labels(tmp_path):
    files = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        files.append(tmp_path / name / "best.pth")
        files[-1].touch()
    specs = parse_specs([f"cliphand_tiny_sample={file}" for file in files])
    assert [s.label for s in specs] == [
        "cliphand_tiny_sample=a/best.pth", "cliphand_tiny_sample=b/best.pth",
    ]  # fmt: skip
    twice = parse_specs(["cliphand_tiny_sample", "cliphand_tiny_sample"])
    assert [s.label for s in twice] == ["cliphand_tiny_sample", "cliphand_tiny_sample #2"]


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [("3", 3, "epochs"), ("1 epoch", 1, "epochs"), ("200it", 200, "iterations"),
     ("20 iters", 20, "iterations")],
)  # fmt: skip
def test_budgets(text, amount, unit):
    assert Budget.parse(text) == Budget(amount, unit)


@pytest.mark.parametrize("text", ["", "0", "-3", "1.5", "3min"])
def test_bad_budgets(text):
    with pytest.raises(ConfigError, match="--budget"):
        Budget.parse(text)


def test_bad_settings_name_their_option(tmp_path):
    with pytest.raises(ConfigError, match="--trials.*--budget"):
        Settings(tmp_path, trials=3)
    with pytest.raises(ConfigError, match="--rounds"):
        Settings(tmp_path, rounds=-1)


def test_presets_are_the_papers_tables():
    rows = preset_models("table5")
    assert [name[len("cliphand_s24_table5_")] for name in rows] == list("abcdefg")
    third = preset_models("table3")
    assert third[:2] == ["cliphand_s24_freihand", "cliphand_s12_freihand"]
    assert "metro_h64_freihand" in third and "fastmetro_l_h64_freihand" in third
    assert all(get_entry(name).published for name in third)
    with pytest.raises(ConfigError, match="table5"):
        preset_models("table55")


def test_a_checkpoint_is_given_to_a_row_of_a_preset():
    rows = with_preset("table5", ["cliphand_s24_table5_b_freihand=b.pth", "cliphand_tiny_sample"])
    assert rows[1] == "cliphand_s24_table5_b_freihand=b.pth"
    assert len(rows) == 8 and rows[-1] == "cliphand_tiny_sample"


def test_published_f_scores_are_the_aligned_ones():
    figures = published_figures(get_entry("cliphand_s24_freihand"))
    assert figures["PA-F@15"] == 0.984 and figures["PA-MPJPE"] == 6.3
    assert published_figures(None) == {}


def test_a_limit_spreads_over_the_data():
    assert chosen_indices(100, 5).tolist() == [0, 25, 50, 74, 99]
    assert chosen_indices(3, None).tolist() == chosen_indices(3, 9).tolist() == [0, 1, 2]
    assert {"freihand", "rhd"} <= set(dataset_names())


IDENTITY = {
    "joint_order": "21-freihand", "joints_from": "joints", "hand_model": "bundled",
    "hand_model_sha256": "a", "joint_regressor_sha256": "r", "num_joints": 21,
    "num_vertices": 778, "input_size": 224, "crop": {"type": "HandCrop", "policy": "fixed"},
}  # fmt: skip
METRICS = ("PA-MPJPE", "PA-MPJPE[mesh]", "PA-MPVPE", "PA-F@15", "EPE-2D")


def outcome(label: str, samples: np.ndarray | None = None, ids=None, **changes) -> ModelOutcome:
    samples = np.array([1.0, 2.0, 3.0]) if samples is None else samples
    ids = list(range(len(samples))) if ids is None else ids
    result = EvaluationResult(
        metrics={name: float(samples.mean()) for name in METRICS},
        protocol={"id": "p", "metrics": {}},
        num_samples=len(samples),
        per_sample=dict.fromkeys(METRICS, samples),
        sample_ids=ids,
        environment={},
    )
    return ModelOutcome(label, identity={**IDENTITY, **changes}, results=[result])


def test_equal_models_share_everything():
    shared = what_is_shared([outcome("a"), outcome("b")])
    assert shared.metrics == list(METRICS) and not shared.left_out and not shared.notes


def test_other_hand_models_share_joints_but_not_meshes():
    shared = what_is_shared([outcome("a"), outcome("b", hand_model="mano", hand_model_sha256="b")])
    assert shared.metrics == ["PA-MPJPE", "EPE-2D"]
    assert set(shared.left_out) == {"PA-MPJPE[mesh]", "PA-MPVPE", "PA-F@15"}
    assert "a: bundled" in shared.notes[0] and "b: mano" in shared.notes[0]


def test_other_joint_orders_share_meshes_but_not_joints():
    shared = what_is_shared([outcome("a"), outcome("b", joint_order="21-rhd")])
    assert shared.metrics == ["PA-MPVPE", "PA-F@15"]
    assert "b: 21-rhd" in shared.left_out["PA-MPJPE"] and "Joints" in shared.notes[0]


def test_a_stand_in_hand_on_real_data_has_no_mesh_error():
    def use(name, status):
        return {"name": name, "status": status, "where": "", "how": "", "note": ""}

    odd = outcome("a")
    odd.resources = [use("hand_model", "stand-in"), use("data/freihand", "real")]
    shared = what_is_shared([odd, outcome("b")])
    assert "do not correspond" in shared.left_out["PA-MPVPE"] and "PA-MPJPE" in shared.metrics


def test_models_are_paired_by_sample_and_not_by_position(tmp_path):
    values = np.array([5.0, 1.0, 9.0, 4.0])
    first = outcome("a", values, ids=[3, 1, 2, 7])
    second = outcome("b", np.array([10.0, 2.0, 6.0]), ids=[2, 1, 3])
    models = [first, second]
    figures = compute_figures(
        models, what_is_shared(models), Settings(tmp_path, resamples=100), lambda *_: None
    )
    assert figures.sample_ids == ["3", "1", "2"]
    difference = figures.comparisons["PA-MPJPE"]["b"]["difference"]
    assert difference["value"] == pytest.approx(1.0)  # (6-5, 2-1, 10-9)
    assert "3 samples that all models predicted, of 4" in figures.notes[0]


def test_pooled_figures_have_no_interval(tmp_path):
    odd = outcome("a")
    odd.results[0].metrics["PA-MPJPE"] += 0.5  # a mean over points, not over samples
    figures = compute_figures(
        [odd], what_is_shared([odd]), Settings(tmp_path, resamples=100), lambda *_: None
    )
    assert figures.values["PA-MPJPE"]["a"]["low"] is None
    assert figures.values["PA-MPVPE"]["a"]["low"] is not None


def test_frames_of_videos_are_grouped():
    assert sequence_groups(["Grasp1/3", "Grasp1/4", "Rotate/1"]).tolist() == [
        "Grasp1", "Grasp1", "Rotate",
    ]  # fmt: skip
    assert sequence_groups(["12", "13"]) is None
    assert sequence_groups(["a/1", "b/1"]) is None  # single pictures in folders


def test_samples_are_chosen_by_error():
    arrays = {"a": np.array([1.0, 9.0, 5.0, np.nan, 2.0]), "b": np.array([2.0, 8.0, 1.0, 0.0, 2.0])}
    figures = Figures("a", sample_ids=list("vwxyz"), per_sample={"PA-MPJPE": arrays})
    chosen = {row.sample_id: row for row in choose_samples(figures, "PA-MPJPE", 1)}
    assert "worst" in chosen["w"].kinds and "best" in chosen["v"].kinds
    assert "differ" in chosen["x"].kinds and "best of b" in chosen["x"].kinds
    assert "y" not in chosen  # not annotated for one of them
    assert chosen["x"].errors == {"a": 5.0, "b": 1.0}
    assert choose_samples(figures, "PA-MPJPE", 0) == []


def test_predictions_come_back_to_a_tenth_of_a_millimetre(tmp_path):
    rng = np.random.default_rng(0)
    kept = Predictions(
        np.array(["1", "2"]), rng.normal(size=(2, 3)), rng.normal(size=(2, 21, 3)) * 0.1,
        rng.uniform(-0.12, 0.12, size=(2, 778, 3)),
    )  # fmt: skip
    kept.save(tmp_path)
    found = Predictions.load(tmp_path)
    np.testing.assert_allclose(found.vertices.astype(float), kept.vertices, atol=1e-4)
    np.testing.assert_array_equal(found.joints, kept.joints)
    assert Predictions.load(tmp_path / "nowhere") is None


def test_only_whole_outcomes_of_the_same_key_are_taken_up(tmp_path: Path):
    done = outcome("a")
    done.key, done.folder = "k1", tmp_path
    done.results[0].save(tmp_path / "trial_0")
    done.save()
    assert ModelOutcome.load(tmp_path, "k1", "b").label == "b"
    assert ModelOutcome.load(tmp_path, "k2", "a") is None
    (tmp_path / "trial_0" / "metrics.json").write_text("{")
    assert ModelOutcome.load(tmp_path, "k1", "a") is None
