"""tools/benchmark.py: its rows, its JSON and its table."""

import io
import json

import pytest
from rich.console import Console
from torch import nn

from handzoo.errors import ConfigError
from handzoo.evaluation.benchmark_cli import benchmark, benchmark_table, main, speedup_table
from handzoo.evaluation.files import write_json


class _Estimator(nn.Module):
    """What the benchmark asks of an estimator, with costs that are easy to work out."""

    def __init__(self, width):
        super().__init__()
        self.body = nn.Conv2d(3, width, 4, stride=4, bias=False)
        self.guidance = nn.Linear(1000, 1000)

    def forward(self, inputs, data_samples=None, mode="tensor"):
        assert mode == "tensor" and not self.training
        return self.body(inputs)


def test_rows_json_and_table(tmp_path):
    models = [("small", _Estimator(8)), ("large", _Estimator(64))]
    rows = benchmark(models, batch_size=2, input_size=32, rounds=5, live=True)
    assert [row["name"] for row in rows] == ["small", "large"]
    assert rows[0]["params_m"] == pytest.approx(8 * 48 / 1e6)
    assert rows[0]["macs_g"] == pytest.approx(8 * 48 * 64 / 1e9)  # of one image
    assert rows[1]["peak_memory_mb"] == pytest.approx(2 * 64 * 64 * 4 / 2**20)
    assert rows[0]["params_unreached_m"] == 0
    for row in rows:
        assert row["fps"] == pytest.approx(2000 / row["latency_ms"]) and row["rounds"] == 5
    read = json.loads(write_json(tmp_path / "b.json", rows).read_text())
    assert {"name", "params_m", "macs_g", "latency_ms", "fps"} <= set(read[0])
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(benchmark_table(rows))
    assert "large" in console.export_text() and "batch 2" in benchmark_table(rows).title


def test_counting_only():
    row = benchmark([("one", _Estimator(8))], input_size=32, latency=False)[0]
    assert row["latency_ms"] is None and row["fps"] is None and row["macs_g"] > 0


def test_errors():
    with pytest.raises(ConfigError, match="at least one"):
        benchmark([])
    with pytest.raises(ConfigError):
        main(["no_such_model_or_file", "--no-latency"])


class _Deployable(_Estimator):
    def __init__(self, width):
        super().__init__(width)
        self.seen = []

    def deploy(self, **options):
        self.seen.append(options)
        return _Estimator(4).eval()


def test_deployed_forms_are_timed_beside_the_eager_ones():
    models = [("small", _Deployable(8)), ("large", _Deployable(64))]
    rows = benchmark(models, input_size=32, rounds=3, deploy={"dtype": "fp32"})
    names = ["small", "small (deployed)", "large", "large (deployed)"]
    assert [row["name"] for row in rows] == names
    assert models[0][1].seen == [{"image_size": 32, "dtype": "fp32"}]
    assert "speedup" not in rows[0] and rows[1]["macs_g"] == pytest.approx(4 * 48 * 64 / 1e9)
    stepwise = benchmark(models[:1], input_size=32, rounds=3, deploy={}, steps=True)
    assert [row["form"] for row in stepwise] == ["eager", "deployed", "deployed", "deployed"]
    assert models[0][1].seen[2] == {"image_size": 32, "winograd": False, "compile": False}
    latency = {row["name"]: row["latency_ms"] for row in rows}
    assert rows[3]["speedup"] == {
        name: pytest.approx(latency[name] / latency["large (deployed)"])
        for name in ("small", "large")
    }
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(speedup_table(rows))
    assert "large (deployed)" in console.export_text()


def test_options_of_deployed_models_need_some():
    with pytest.raises(ConfigError, match="add --deploy"):
        main(["cliphand_tiny_sample", "--dtype", "bf16"])


def test_each_model_is_measured_at_the_crop_of_its_config():
    rows = benchmark(["cliphand_tiny_sample", ("built", _Estimator(8))], latency=False)
    assert [row["input_size"] for row in rows] == [128, 224]
