"""Hand-model pickles: arrays, scipy and chumpy come through, anything that could run does not."""

import os
import pickle
import sys
import types

import numpy as np
import pytest
import torch
from scipy.sparse import csc_matrix, csr_matrix
from toy_hand import toy_hand_data

from handzoo.errors import ResourceError
from handzoo.hands.models import HandModel, load_mano, read_mano
from handzoo.hands.restricted_pickle import load_object_npz, restricted_load, to_array


@pytest.fixture
def fake_chumpy(monkeypatch):
    """Classes that pickle as chumpy's: same module names, same state."""
    chumpy, ch, reordering = (
        types.ModuleType(name) for name in ("chumpy", "chumpy.ch", "chumpy.reordering")
    )

    def chumpy_class(module, name):
        def init(self, **state):
            # What chumpy's __getstate__ leaves in: its bookkeeping beside the terms.
            self.__dict__.update(state, _dirty_vars=set(), _itr=None, _depends_on_deps={})

        cls = type(name, (), {"__init__": init, "__module__": module.__name__})
        setattr(module, name, cls)

    chumpy_class(ch, "Ch")
    for name in ("Select", "Reshape", "Tile"):
        chumpy_class(reordering, name)
    chumpy.ch, chumpy.reordering = ch, reordering
    for module in (chumpy, ch, reordering):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return chumpy


def mano_dictionary(data):
    kintree = np.array([data.parents, range(16)], dtype=np.int64)
    kintree[0, 0] = 2**32 - 1
    return {
        "v_template": data.v_template,
        "f": data.faces.astype(np.uint32),
        "shapedirs": data.shapedirs,
        "posedirs": data.posedirs,
        "J_regressor": csc_matrix(data.J_regressor),
        "weights": data.weights,
        "hands_mean": data.hands_mean,
        "hands_components": np.eye(45),
        "kintree_table": kintree,
        "bs_style": "lbs",
    }


def assert_same(found, data):
    for name in ("v_template", "faces", "shapedirs", "posedirs", "weights", "hands_mean"):
        np.testing.assert_array_equal(getattr(found, name), getattr(data, name))
    np.testing.assert_allclose(found.J_regressor, data.J_regressor, atol=0)
    assert found.parents == data.parents


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_reads_a_chumpy_free_copy(tmp_path, protocol):
    data = toy_hand_data()
    path = tmp_path / "MANO_RIGHT.pkl"
    path.write_bytes(pickle.dumps(mano_dictionary(data), protocol=protocol))
    assert_same(read_mano(path), data)


@pytest.mark.parametrize("protocol", [0, 2])
def test_reads_chumpy_objects_without_chumpy(tmp_path, protocol, fake_chumpy, monkeypatch):
    """As in the official file: shapedirs is a Select out of a longer array, others are leaves."""
    data = toy_hand_data()
    content = mano_dictionary(data)
    longer = np.concatenate((data.shapedirs, 7 * data.shapedirs), axis=2)  # 20 directions
    index = np.arange(longer.size).reshape(longer.shape)[:, :, :10].ravel()
    leaf = fake_chumpy.ch.Ch(x=longer)
    content["shapedirs"] = fake_chumpy.reordering.Select(
        a=leaf, idxs=index, preferred_shape=(778, 3, 10)
    )
    content["posedirs"] = fake_chumpy.reordering.Reshape(
        a=fake_chumpy.ch.Ch(x=data.posedirs.ravel()), newshape=data.posedirs.shape
    )
    content["v_template"] = fake_chumpy.ch.Ch(x=data.v_template)
    raw = pickle.dumps(content, protocol=protocol)
    # What scipy and numpy were called when the official file was written.
    if protocol == 0:
        raw = raw.replace(b"cscipy.sparse._csc\n", b"cscipy.sparse.csc\n")
        raw = raw.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
        assert b"scipy.sparse.csc\n" in raw
        assert b"chumpy.reordering" in raw
    path = tmp_path / "MANO_RIGHT.pkl"
    path.write_bytes(raw)
    for name in ("chumpy", "chumpy.ch", "chumpy.reordering"):
        monkeypatch.delitem(sys.modules, name)
    assert_same(read_mano(path), data)


def test_a_python_2_pickle_is_read():
    """Byte for byte what Python 2's protocol 0 writes for a small array."""
    raw = (
        b"cnumpy.core.multiarray\n_reconstruct\np0\n(cnumpy\nndarray\np1\n(I0\ntp2\nS'b'\np3\n"
        b"tp4\nRp5\n(I1\n(I2\ntp6\ncnumpy\ndtype\np7\n(S'f8'\np8\nI0\nI1\ntp9\nRp10\n(I3\nS'<'\n"
        b"p11\nNNNI-1\nI-1\nI0\ntp12\nbI00\n"
        b"S'\\x00\\x00\\x00\\x00\\x00\\x00\\xf0?\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\xc0'\n"
        b"p13\ntp14\nb."
    )
    import io

    np.testing.assert_array_equal(restricted_load(io.BytesIO(raw), "x"), [1.0, -2.0])


def test_the_model_of_the_pickle_poses_as_the_data(tmp_path):
    data = toy_hand_data()
    path = tmp_path / "MANO_RIGHT.pkl"
    path.write_bytes(pickle.dumps(mano_dictionary(data), protocol=2))
    pose = 0.3 * torch.randn(2, 48, generator=torch.Generator().manual_seed(0))
    found, expected = load_mano(path), HandModel(data, "toy")
    assert torch.equal(found(pose).vertices, expected(pose).vertices)
    assert found.name == "mano" and not found.is_stand_in


class Malicious:
    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize(
    "function, arguments, named",
    [
        (os.system, ("touch {}",), "system"),
        (eval, ("open('{}', 'w')",), "eval"),
        (getattr, (os, "getpid"), "getattr"),
        (np.load, ("{}",), "load"),
        (__import__, ("antigravity",), "__import__"),
    ],
)
def test_code_is_refused_by_name(tmp_path, function, arguments, named):
    trace = tmp_path / "trace"
    arguments = tuple(a.format(trace) if isinstance(a, str) else a.__name__ for a in arguments)
    path = tmp_path / "MANO_RIGHT.pkl"
    path.write_bytes(pickle.dumps({"v_template": Malicious(function, *arguments)}, protocol=2))
    with pytest.raises(ResourceError, match=f"refused to unpickle '.*{named}'"):
        read_mano(path)
    assert not trace.exists()


def test_reconstructors_cannot_be_turned_on_other_classes(tmp_path):
    import copyreg

    for index, content in enumerate(
        (
            Malicious(copyreg._reconstructor, dict, object, None),
            Malicious(np.empty(0).__reduce__()[0], np.matrix, (0,), b"b"),
        )
    ):
        path = tmp_path / f"{index}.pkl"
        path.write_bytes(pickle.dumps(content, protocol=2))
        with pytest.raises(ResourceError):
            read_mano(path)


def test_damage_and_strange_content_are_reported(tmp_path, fake_chumpy):
    path = tmp_path / "MANO_RIGHT.pkl"
    with pytest.raises(ResourceError, match="cannot open"):
        read_mano(path)
    path.write_bytes(pickle.dumps(mano_dictionary(toy_hand_data()))[:5000])
    with pytest.raises(ResourceError, match="not a readable pickle"):
        read_mano(path)
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ResourceError, match="holds a list"):
        read_mano(path)
    path.write_bytes(pickle.dumps({"f": np.zeros(3)}))
    with pytest.raises(ResourceError, match="lacks v_template"):
        read_mano(path)
    content = mano_dictionary(toy_hand_data())
    content["weights"] = fake_chumpy.reordering.Tile(a=fake_chumpy.ch.Ch(x=np.ones(3)), reps=3)
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(ResourceError, match="'Tile'"):
        read_mano(path)


def test_object_arrays_of_npz(tmp_path):
    path = tmp_path / "matrices.npz"
    dense = np.array([[0, 2.0, 0], [1, 0, 3]])
    matrices = np.empty(2, dtype=object)
    matrices[:] = [csc_matrix(dense), csr_matrix(dense)]
    np.savez(path, U=matrices, plain=np.arange(3))
    loaded = load_object_npz(path)
    for matrix in loaded["U"]:
        np.testing.assert_array_equal(to_array(matrix), dense)
    np.testing.assert_array_equal(loaded["plain"], np.arange(3))

    matrices[1] = Malicious(os.getcwd)
    np.savez(path, U=matrices)
    with pytest.raises(ResourceError, match="getcwd"):
        load_object_npz(path)
    path.write_bytes(b"not a zip file")
    with pytest.raises(ResourceError, match="not a readable"):
        load_object_npz(path)
