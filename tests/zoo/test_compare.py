"""A whole comparison of tiny models: the same figures as tools/test.py, nothing done twice, rows
that fail beside rows that do not."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from compare_configs import write_config  # noqa: E402

from handzoo.cli import main as handzoo  # noqa: E402
from handzoo.evaluation.results import EvaluationResult  # noqa: E402
from handzoo.evaluation.statistics import compare_to_reference  # noqa: E402
from handzoo.plugins import plugin_manager  # noqa: E402

LIMIT = 6
PLUGIN = Path(__file__).parents[1] / "plugins" / "distributions" / "good" / "hz_good"
COMMON = ["--rounds", "3", "--train-steps", "1", "--resamples", "200", "--samples", "1"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("compare")


@pytest.fixture(scope="module")
def trained(folder) -> tuple[int, Path, list[str]]:
    """Two models trained for two iterations with two seeds, and one that cannot be built."""
    models = [
        str(write_config(folder, "first")),
        str(write_config(folder, "second", linear=True, size=96)),
        str(write_config(folder, "broken", more="model['neck'] = dict(type='HFAA')\n")),
    ]
    arguments = [*models, "--budget", "2it", "--trials", "2", "--limit", str(LIMIT),
                 "--out", str(folder / "out"), *COMMON]  # fmt: skip
    return handzoo(["compare", *arguments]), folder / "out", arguments


def results(out: Path) -> dict:
    return json.loads((out / "results.json").read_text())


def test_a_failed_model_has_a_row_with_its_cause_and_the_exit_code_says_so(trained):
    code, out, _ = trained
    content = results(out)
    assert code == 1
    assert [(m["label"], m["status"]) for m in content["models"]] == [
        ("first", "ok"), ("second", "ok"), ("broken", "failed"),
    ]  # fmt: skip
    error = content["models"][2]["error"]
    assert "model.neck" in error and "Did you mean 'HFA'" in error
    assert content["failed"] == ["broken"]
    assert "failed: " in (out / "results.md").read_text()


def test_results_say_everything_that_a_figure_depends_on(trained):
    content = results(trained[1])
    assert content["protocol"]["id"].startswith("bundled-sample/evaluation/root=wrist")
    assert content["data"]["samples"] == LIMIT and len(content["data"]["sha256"]) == 64
    assert {"hand_model", "data/freihand"} <= set(content["stand_ins"])
    assert content["environment"]["versions"]["torch"] == torch.__version__.split("+")[0]
    assert "--budget 2it" in content["command"]
    first = content["models"][0]
    assert first["weights"] == {"kind": "trained", "budget": "2 iterations"}
    assert [row["seed"] for row in first["training"]] == [0, 1]
    assert all(row["iterations"] == 2 and len(row["sha256"]) == 64 for row in first["training"])
    assert {"params_m", "macs_g", "peak_memory_mb", "train_ms_per_image"} <= set(first["cost"])
    assert first["timing"]["rounds"] == 3 and first["timing"]["latency_ms"] > 0
    # Both trainings saw batches of one size, though the budget counts iterations.
    assert content["settings"]["train_batch_size"] == 2


def test_figures_are_means_over_trials_with_their_deviation(trained):
    content = results(trained[1])
    cell = content["figures"]["metrics"]["PA-MPJPE"]["second"]
    assert len(cell["trials"]) == 2 and cell["trials"][0] != cell["trials"][1]
    assert cell["value"] == pytest.approx(np.mean(cell["trials"]))
    assert cell["sd"] == pytest.approx(np.std(cell["trials"], ddof=1))
    assert cell["low"] <= cell["value"] <= cell["high"]


def test_paired_tests_are_those_of_the_per_sample_errors(trained):
    out = trained[1]
    content = results(out)
    arrays = {}
    for label in ("first", "second"):
        folders = list(out.glob(f"models/{label}-*"))
        trials = [EvaluationResult.load(folders[0] / f"trial_{i}") for i in range(2)]
        arrays[label] = np.mean([t.per_sample["PA-MPJPE"].astype(float) for t in trials], axis=0)
    expected = compare_to_reference(arrays, resamples=200)["second"]
    found = content["figures"]["comparisons"]["PA-MPJPE"]["second"]
    assert found["difference"]["value"] == pytest.approx(expected.difference.value, rel=1e-6)
    assert found["p_bootstrap"] == pytest.approx(expected.p_bootstrap)
    assert found["verdict"] == expected.verdict


def test_pixels_of_different_crops_are_not_compared(trained):
    content = results(trained[1])
    assert "input sizes" in content["not_compared"]["EPE-2D"]
    assert "EPE-2D" not in content["compared"] and "PA-MPJPE" in content["compared"]
    assert "EPE-2D" not in content["figures"]["comparisons"]
    # Joints regressed from the mesh come from the same regressor, so they are.
    assert "PA-MPJPE[mesh]" in content["compared"]


def test_a_second_call_repeats_nothing(trained, monkeypatch):
    _, out, arguments = trained
    before = results(out)

    def never(*_, **__):
        raise AssertionError("a finished model was done again")

    monkeypatch.setattr("handzoo.zoo.compare.measure.evaluate", never)
    monkeypatch.setattr("handzoo.zoo.compare.measure.train_trial", never)
    monkeypatch.setattr("handzoo.zoo.compare.cost.time_in_turns", never)
    assert handzoo(["compare", *arguments]) == 1
    after = results(out)
    assert after["figures"] == before["figures"]
    assert [m["timing"] for m in after["models"]] == [m["timing"] for m in before["models"]]


def test_an_interrupted_training_goes_on(folder, monkeypatch, capsys):
    config = str(write_config(folder, "interrupted", linear=True))
    out = folder / "again"
    arguments = ["compare", config, "--budget", "2it", "--limit", "4", "--rounds", "0",
                 "--train-steps", "0", "--samples", "0", "--out", str(out)]  # fmt: skip
    from handzoo.engine.loops import HandTrainLoop

    original = HandTrainLoop.run_iter

    def stop_after_the_first(self, index, batch):
        original(self, index, batch)
        self.request_stop("SIGINT")

    with monkeypatch.context() as patch:
        patch.setattr(HandTrainLoop, "run_iter", stop_after_the_first)
        assert handzoo(arguments) == 130
    assert "goes on from here" in capsys.readouterr().out
    assert not (out / "results.json").exists()
    steps = []

    def count(self, index, batch):
        original(self, index, batch)
        steps.append(self._iter)

    monkeypatch.setattr(HandTrainLoop, "run_iter", count)
    assert handzoo(arguments) == 0
    assert steps == [2]  # the first iteration was not repeated
    assert results(out)["models"][0]["training"][0]["iterations"] == 2


@pytest.fixture
def plugins_are_forgotten():
    """What is named by --plugin stays in the process."""
    yield
    plugin_manager.cache_clear()


def test_figures_equal_those_of_tools_test_and_a_wrong_checkpoint_names_both_models(
    trained, folder, plugins_are_forgotten
):
    """One run: the right weights, the other model's, and a plugin's model without any."""
    out = trained[1]
    checkpoint = next(out.glob("models/first-*/train_0/last.pth"))
    first, second = (str(folder / f"{name}.py") for name in ("first", "second"))
    mean = str(write_config(folder, "mean", linear=True, head="hz_good/MeanHand"))
    code = handzoo(
        ["compare", f"{first}={checkpoint}", f"{second}={checkpoint}", mean, "--allow-random",
         "--plugin", str(PLUGIN), "--rounds", "0",
         "--train-steps", "0", "--resamples", "100", "--samples", "0", "--limit", "100",
         "--out", str(folder / "loaded")]
    )  # fmt: skip
    content = results(folder / "loaded")
    assert code == 1
    error = content["models"][1]["error"]
    assert "was made with first" in error and "does not fit second" in error
    assert "query_head" in error or "neck" in error
    assert content["models"][0]["weights"]["sha256"]
    plugin = content["models"][2]
    assert plugin["status"] == "ok", plugin["error"]
    assert [row["name"] for row in plugin["plugins"]] == ["hz_good"]
    assert plugin["weights"] == {"kind": "random"} and "random weights" in plugin["notes"][0]
    assert "trained with stand-ins" in " ".join(content["models"][0]["notes"])
    assert handzoo(["test", first, str(checkpoint), "--out", str(folder / "test")]) == 0
    tested = json.loads((folder / "test" / "metrics.json").read_text())["metrics"]
    compared = {n: row["first"]["value"] for n, row in content["figures"]["metrics"].items()}
    assert compared.keys() == tested.keys()
    for name, value in tested.items():
        assert compared[name] == pytest.approx(value, rel=1e-4, abs=1e-4), name
