"""Each check of a data set finds its breach, and names it; a right data set passes."""

import re
import threading

import numpy as np
import pytest
from breaches import failures, registering

from handzoo.datasets import FreiHAND
from handzoo.resources import ASSETS


@pytest.fixture
def register(monkeypatch, tmp_path):
    monkeypatch.setenv("HANDZOO_CACHE", str(tmp_path))
    add = registering(monkeypatch, "dataset")
    return lambda cls: add(cls, data_root=str(ASSETS / "sample"), split="evaluation")


class Good(FreiHAND):
    """The bundled sample, cut short so that reading it is quick."""

    def _length(self):
        return 5


def changed(name, change):
    """A data set class whose annotation is changed by ``change(info)``."""

    def _info(self, index):
        info = FreiHAND._info(self, index)
        change(info)
        return info

    return type(name, (Good,), {"_info": _info})


def millimetres(info):
    for field in ("joints3d", "vertices", "root"):
        info[field] = info[field] * 1000


def camera_frame(info):
    info["joints3d"] = info["joints3d"] + info["root"]


def nan(info):
    info["vertices"] = info["vertices"] * np.nan


def behind(info):
    info["root"] = -info["root"]


def shifted(info):
    info["joints2d"] = info["joints2d"] + 3


def other_root(info):
    info["vertices"] = info["vertices"] + 0.15


def degrees(info):
    info["pose"] = np.full(48, 45.0)


def wrong_gesture(info):
    info["gesture"] = 19


def other_gesture(info):
    info["gesture"], info["gesture_name"] = 1, "palm"


def transposed(info):
    info["K"] = info["K"].T


class NoName(Good):
    @property
    def metainfo(self):
        return {}


class Growing(Good):
    calls = 0

    def _length(self):
        Growing.calls += 1
        return 4 + Growing.calls % 2


class Unpacked(Good):
    def __getitem__(self, index):
        return self.get_data_info(index)


class Misflagged(Good):
    def __getitem__(self, index):
        item = super().__getitem__(index)
        item["data_samples"].vertices_valid.fill_(False)
        return item


class WrongType(Good):
    def __getitem__(self, index):
        item = super().__getitem__(index)
        item["data_samples"].joints2d = item["data_samples"].joints2d.double()
        return item


CONTRACT = {
    "millimetres": (changed("Millimetres", millimetres), "metres"),
    "camera_frame": (changed("CameraFrame", camera_frame), "relative to the wrist"),
    "nan": (changed("NaN", nan), "vertices is not finite"),
    "behind": (changed("Behind", behind), "z forward"),
    "shifted": (changed("Shifted", shifted), "pixels away from joints2d"),
    "other_root": (changed("OtherRoot", other_root), "outside the mesh"),
    "degrees": (changed("Degrees", degrees), "radians"),
    "wrong_gesture": (changed("WrongGesture", wrong_gesture), "GESTURES"),
    "other_gesture": (changed("OtherGesture", other_gesture), "not 'palm'"),
    "transposed": (changed("Transposed", transposed), "pinhole camera"),
    "no_name": (NoName, "metainfo"),
    "growing": (Growing, "len\\(\\) changes"),
    "unpacked": (Unpacked, "PackHandInputs"),
    "misflagged": (Misflagged, "not annotated by vertices_valid"),
    "wrong_type": (WrongType, "joints2d must be"),
}


class SameIds(Good):
    def _info(self, index):
        return {**super()._info(index), "sample_id": index // 2}


class NoId(Good):
    def _info(self, index):
        return {**super()._info(index), "sample_id": None}


class OwnRandom(Good):
    def _info(self, index):
        return {**super()._info(index), "color": str(np.random.default_rng().random())}


class SharesMemory(Good):
    def __getitem__(self, index):
        if not hasattr(self, "kept"):
            self.kept = {}
        if index not in self.kept:
            self.kept[index] = super().__getitem__(index)
        return self.kept[index]


class Wraps(Good):
    def get_data_info(self, index):
        return super().get_data_info(index % len(self))


class OtherEnd(Good):
    def get_data_info(self, index):
        return super().get_data_info(0 if index == -1 else index)


class HoldsLock(Good):
    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.lock = threading.Lock()


class ForgetsInWorker(Good):
    def __getstate__(self):
        return {**self.__dict__, "_labels": None}


def loose(data_root, split, pipeline=(), **anything):
    """Takes any argument, as a function may that hands on what it is given."""
    return Good(data_root=data_root, split=split, pipeline=pipeline)


@pytest.mark.parametrize("name", CONTRACT)
def test_contract_names_each_breach(register, name):
    cls, words = CONTRACT[name]
    found = failures("dataset", register(cls), "contract")
    assert re.search(words, found["contract"]), found["contract"]


@pytest.mark.parametrize(
    ("cls", "check", "words"),
    [
        (SameIds, "identity", "one sample_id"),
        (NoId, "identity", "'sample_id'"),
        (OwnRandom, "repeatable", "color differs"),
        (SharesMemory, "repeatable", "hand out copies"),
        (Wraps, "bounds", "IndexError"),
        (OtherEnd, "bounds", "not the last sample"),
        (HoldsLock, "worker", "sent to a DataLoader's worker"),
        (ForgetsInWorker, "worker", "differs in a worker"),
        (loose, "config", "unknown argument is accepted"),
    ],
)
def test_each_other_check_finds_its_breach(register, cls, check, words):
    found = failures("dataset", register(cls))
    assert words in found.pop(check)
    # What differs at every reading differs for the checks that compare two samples as well.
    assert set(found) == ({"bounds", "worker"} if cls is OwnRandom else set())


def test_a_config_that_cannot_be_written_down_is_found(register):
    found = failures("dataset", {**register(Good), "indices": np.arange(5)})
    assert set(found) == {"config"} and "cannot be read again" in found["config"]


def test_a_right_dataset_passes(register):
    assert failures("dataset", register(Good)) == {}
