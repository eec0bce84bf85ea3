"""Resources: the real thing where it is, the stand-in where it is not, and never a mix-up."""

import pytest

from handzoo.errors import ResourceError
from handzoo.resources import (
    _RESOLVERS,
    ASSETS,
    MISSING,
    STAND_IN,
    collect_resources,
    resolve,
)
from handzoo.testing import conformance_checks

# A name of each kind of resource that has a resolver of its own.
NAMES = {"clip/*": "clip/ViT-B-32", "backbone/*": "backbone/resnet18"}


@pytest.fixture(autouse=True)
def empty_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("HANDZOO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("HANDZOO_MANO", raising=False)
    return tmp_path / "data"


def test_stand_ins_are_recorded_as_such():
    with collect_resources() as report:
        assert resolve("hand_model").status == STAND_IN
        assert resolve("data/freihand").path == ASSETS / "sample"
        assert resolve("data/rhd").status == MISSING
    assert [row["status"] for row in report.rows()] == [STAND_IN, STAND_IN, MISSING]
    assert not report.all_real
    assert all(row["how"] for row in report.rows())


def test_the_real_thing_wins_when_it_is_there(empty_machine):
    root = empty_machine / "freihand"
    root.mkdir(parents=True)
    (root / "training_K.json").write_text("[]")
    mano = empty_machine / "mano" / "MANO_RIGHT.pkl"
    mano.parent.mkdir()
    mano.write_bytes(b"")
    with collect_resources(require_real=True) as report:
        assert resolve("data/freihand").path == root
        assert resolve("hand_model").path == mano
    assert report.all_real


def test_require_real_refuses_stand_ins_and_says_how_to_get_the_real_one():
    with collect_resources(require_real=True), pytest.raises(ResourceError, match="FreiHAND v2"):
        resolve("data/freihand")


def test_a_folder_without_the_published_layout_is_no_data_set(empty_machine):
    (empty_machine / "freihand").mkdir(parents=True)
    assert resolve("data/freihand").status == STAND_IN
    with pytest.raises(ResourceError, match="published layout"):
        resolve("data/freihand", path=empty_machine / "freihand")


def test_wrong_names_and_paths_are_explained(monkeypatch, tmp_path):
    with pytest.raises(ResourceError, match="Did you mean 'data/freihand'"):
        resolve("data/freehand")
    with pytest.raises(ResourceError, match="nothing is there"):
        resolve("hand_model", path="/nowhere/MANO_RIGHT.pkl")
    with pytest.raises(ResourceError, match="that is not it"):
        resolve("hand_model", path=tmp_path)  # a folder where a file is meant must not go unnoticed
    monkeypatch.setenv("HANDZOO_MANO", "/nowhere/else.pkl")
    with pytest.raises(ResourceError, match="HANDZOO_MANO"):
        resolve("hand_model")


def test_a_missing_resource_has_no_path():
    with pytest.raises(ResourceError, match="not on this machine"):
        _ = resolve("data/dexter_object").path


def test_the_sample_is_a_stand_in_even_when_named_by_its_path():
    assert resolve("data/freihand", path=ASSETS / "sample").status == STAND_IN


@pytest.mark.parametrize("check", conformance_checks("resource_resolver"), ids=str)
@pytest.mark.parametrize("name", [NAMES.get(name, name) for name in _RESOLVERS])
def test_every_resolver_passes_the_conformance_kit(name, check):
    check(dict(name=name))
