"""JSON is converted once, exactly, and shared."""

import json
import multiprocessing
import os
import pickle
import time
from pathlib import Path

import numpy as np
import pytest
from fabricate import make_freihand

import handzoo
from handzoo.datasets import FreiHAND
from handzoo.datasets import json_arrays as module
from handzoo.datasets.cache import AnnotationCache, save_arrays
from handzoo.datasets.json_arrays import json_to_npy
from handzoo.errors import DataError


@pytest.mark.parametrize("shape", [(5,), (4, 3, 3), (7, 1, 61), (3, 778, 3)])
@pytest.mark.parametrize("block", [64, 8 << 20])
@pytest.mark.parametrize("indent", [None, 1])
def test_streamed_numbers_equal_the_json_module(tmp_path, monkeypatch, shape, block, indent):
    monkeypatch.setattr(module, "_BLOCK_BYTES", block)
    array = np.random.default_rng(0).normal(0, 1e-3, shape)
    array.flat[0], array.flat[1] = 1e-300, -7.0
    (tmp_path / "a.json").write_text(json.dumps(array.tolist(), indent=indent))
    assert json_to_npy(tmp_path / "a.json", tmp_path / "a.npy") == shape
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), array)
    assert np.load(tmp_path / "a.npy", mmap_mode="r").shape == shape


@pytest.mark.parametrize(
    "text",
    [
        "[[1.0, 2.0], [3.0, 4.",  # truncated in a number
        "[[1.0, 2.0], [3.0, 4.0]",  # truncated before the end
        "[[1.0, 2.0], [3.0]]",  # ragged
        "[[1.0, 2.0], [null, 4.0]]",
        '[[1.0, 2.0], ["x", 4.0]]',
        "[[1.0, 2.0] [3.0, 4.0]]",  # a comma is missing
        "{}",
        "[]",
        "",
    ],
)
def test_damaged_json_is_refused(tmp_path, text):
    (tmp_path / "training_K.json").write_text(text)
    with pytest.raises(DataError, match=r"training_K\.json.*download it again"):
        json_to_npy(tmp_path / "training_K.json", tmp_path / "a.npy")
    cache = AnnotationCache(tmp_path)
    with pytest.raises(DataError):
        cache.json_array(tmp_path / "training_K.json")
    assert not [path for path in cache.folder.iterdir() if path.is_dir()]


def test_changed_source_is_converted_again_and_the_old_entry_goes(tmp_path):
    source = tmp_path / "numbers.json"
    source.write_text("[1.0, 2.0]")
    cache = AnnotationCache(tmp_path)
    assert cache.json_array(source)["data"].tolist() == [1, 2]
    source.write_text("[1.0, 3.0]")
    os.utime(source, ns=(1, 1))
    assert cache.json_array(source)["data"].tolist() == [1, 3]
    assert len([path for path in cache.folder.iterdir() if path.is_dir()]) == 1


def test_second_opening_converts_nothing(tmp_path):
    source = tmp_path / "numbers.json"
    source.write_text("[1.0, 2.0]")
    calls = []

    def convert(folder):
        calls.append(folder)
        save_arrays(folder, {"data": np.ones(3)})

    for _ in range(2):
        assert AnnotationCache(tmp_path).get("n", [source], convert)["data"].sum() == 3
    assert len(calls) == 1


def _convert_slowly(root, started, queue):
    def convert(folder):
        queue.put("converted")
        time.sleep(0.5)
        save_arrays(folder, {"data": np.arange(4)})

    started.wait()
    store = AnnotationCache(root).get("slow", [root / "source.json"], convert)
    queue.put(int(store["data"].sum()))


def test_two_processes_convert_once(tmp_path):
    (tmp_path / "source.json").write_text("[]")
    context = multiprocessing.get_context("fork")
    started, queue = context.Barrier(2), context.Queue()
    workers = [
        context.Process(target=_convert_slowly, args=(tmp_path, started, queue)) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    results = [queue.get(timeout=30) for _ in range(3)]
    for worker in workers:
        worker.join()
    assert sorted(map(str, results)) == ["6", "6", "converted"]


def test_read_only_data_is_cached_for_the_user(tmp_path, monkeypatch):
    root = tmp_path / "data"
    root.mkdir()
    monkeypatch.setattr("handzoo.datasets.cache.os.access", lambda path, mode: False)
    folder = AnnotationCache(root).folder
    assert folder.is_relative_to(tmp_path / "user_cache")
    assert folder != AnnotationCache(tmp_path).folder


def test_the_package_itself_is_never_written_to(tmp_path):
    sample = Path(handzoo.__file__).parent / "assets" / "sample"
    assert AnnotationCache(sample).folder.is_relative_to(tmp_path / "user_cache")


def test_missing_source_names_the_file(tmp_path):
    with pytest.raises(DataError, match=r"gone\.json cannot be read"):
        AnnotationCache(tmp_path).json_array(tmp_path / "gone.json")


def test_pickled_dataset_carries_no_arrays(tmp_path):
    make_freihand(tmp_path, unique=40, versions=1)
    dataset = FreiHAND(tmp_path, versions=("gs",))
    first = dataset.get_data_info(3)
    data = pickle.dumps(dataset)
    assert len(data) < 20_000
    again = pickle.loads(data).get_data_info(3)
    np.testing.assert_array_equal(again["vertices"], first["vertices"])


def _private_megabytes():
    with open("/proc/self/smaps_rollup") as file:
        fields = dict(line.split(":", 1) for line in list(file)[1:])
    return sum(int(fields[f"Private_{kind}"].split()[0]) for kind in ("Clean", "Dirty")) / 1024


def _read_everything(dataset, queue, together):
    before = _private_megabytes()
    for index in range(len(dataset)):
        dataset.get_data_info(index)
    together.wait()  # pages that both workers map are shared only while both live
    queue.put(_private_megabytes() - before)
    together.wait()


@pytest.mark.slow
def test_a_worker_adds_less_than_50_megabytes_at_full_size(tmp_path):
    """32,560 samples with meshes: opened in under a second, and shared by the workers."""
    count = 32_560
    (tmp_path / "training" / "rgb").mkdir(parents=True)
    for number in (0, count - 1):
        (tmp_path / "training" / "rgb" / f"{number:08d}.jpg").write_bytes(b"x")
    rng = np.random.default_rng(0)
    for name, shape in (("K", (3, 3)), ("xyz", (21, 3)), ("verts", (778, 3))):
        row = json.dumps(rng.normal(0, 0.1, shape).tolist())
        (tmp_path / f"training_{name}.json").write_text(f"[{', '.join([row] * count)}]")
    FreiHAND(tmp_path, versions=("gs",))
    begin = time.perf_counter()
    dataset = FreiHAND(tmp_path, versions=("gs",))
    assert time.perf_counter() - begin < 1
    context = multiprocessing.get_context("fork")
    queue, together = context.Queue(), context.Barrier(2)
    workers = [
        context.Process(target=_read_everything, args=(dataset, queue, together)) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    added = [queue.get(timeout=300) for _ in workers]
    for worker in workers:
        worker.join()
    assert max(added) < 50, added
