"""pred.json and pred.zip: round trip, the fast reader against json, and errors that help."""

import json
import zipfile

import hand_points
import numpy as np
import pytest

from handzoo.errors import DataError
from handzoo.evaluation import EvaluationResult, read_submission, write_submission
from handzoo.evaluation.evaluate_cli import main
from handzoo.evaluation.submission import quantise, read_points


@pytest.fixture
def hands():
    rng = np.random.default_rng(2)
    return hand_points.hand_sets(4, rng)


def test_round_trip_as_json_and_zip(tmp_path, hands):
    xyz, verts = hands
    path = write_submission(tmp_path, xyz, verts)
    for file in (path, tmp_path / "pred.zip"):
        found = read_submission(file)
        np.testing.assert_array_equal(found.xyz, quantise(xyz))
        np.testing.assert_array_equal(found.verts, quantise(verts))
    plain = json.loads(path.read_text())
    assert (
        len(plain) == 2 and np.shape(plain[0]) == (4, 21, 3) and np.shape(plain[1]) == (4, 778, 3)
    )
    assert zipfile.ZipFile(tmp_path / "pred.zip").namelist() == ["pred.json"]
    assert np.abs(quantise(xyz) - xyz).max() <= 0.5e-7 + 1e-12
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pred.json", "pred.zip"]


@pytest.mark.parametrize("indent", [None, 1])
def test_reads_any_json_of_regular_arrays(tmp_path, indent):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(3, 5, 3)) * 10.0 ** rng.integers(-9, 3, (3, 5, 3))
    data = points.tolist()
    data[0][0] = [0, -1, 2]  # integers
    file = tmp_path / "a.json"
    file.write_text(json.dumps(data, indent=indent))
    np.testing.assert_array_equal(read_points(file), np.array(data, dtype=float))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[[1,2,3]],[[1,2]]]", r"sample 1 holds \[1, 2\]"),
        ("[[[1,2,3],[1,2,3]],[[1,2,3]]]", "sample 1 has 1 points, the first has 2"),
        ("[[[1,2,null]]]", "not a number"),
        ("[[[1,2,]]]", "not JSON"),
        ("[[[1,2,3 4]]]", "not JSON"),
        ("[[[1,2,3]]", "not JSON"),
        ("{}", "expected a list"),
        ("[]", "expected a list"),
    ],
)
def test_broken_arrays_are_named(tmp_path, text, message):
    file = tmp_path / "b.json"
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        read_points(file)


def test_broken_submissions_are_named(tmp_path, hands):
    xyz, verts = hands
    file = tmp_path / "pred.json"
    file.write_text(json.dumps([xyz.tolist()]))
    with pytest.raises(DataError, match="a list of two.*this is a list of 1"):
        read_submission(file)
    file.write_text(json.dumps([xyz.tolist(), verts[:2].tolist()]))
    with pytest.raises(DataError, match="4 samples have joints and 2 have vertices"):
        read_submission(file)
    with pytest.raises(DataError, match="21 joints"):
        write_submission(tmp_path, xyz[:, :20], verts)
    with pytest.raises(DataError, match="not finite"):
        write_submission(tmp_path, xyz * np.nan, verts)
    with pytest.raises(DataError, match="cannot read"):
        read_submission(tmp_path / "none.json")
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    with pytest.raises(DataError, match="cannot read"):
        read_submission(tmp_path / "bad.zip")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.json", "[]")
        archive.writestr("b.json", "[]")
    with pytest.raises(DataError, match="expected one pred.json"):
        read_submission(tmp_path / "two.zip")


def test_evaluate_command(tmp_path, hands, capsys):
    xyz, verts = hands
    (tmp_path / "gt").mkdir()
    for name, points in (("xyz", xyz), ("verts", verts)):
        (tmp_path / "gt" / f"evaluation_{name}.json").write_text(json.dumps(points.tolist()))
    file = write_submission(tmp_path, xyz * [-1, 1, 1], verts * [-1, 1, 1])
    assert main([str(file), "--data", str(tmp_path / "gt"), "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert "PA-..." in shown and "MPVPE" in shown
    result = EvaluationResult.load(tmp_path / "out")
    assert result.metrics["PA-MPJPE"] < 1e-3 < 1 < result.metrics["PA-MPJPE-det+1"]
    assert result.num_samples == 4 and result.protocol["dataset"] == "freihand-layout-4"
    assert result.protocol["metrics"]["PA-MPVPE"].endswith("unit=mm")
    assert result.per_sample["PA-MPVPE"].shape == (4,)
    assert result.environment["versions"]["handzoo"]
    short = write_submission(tmp_path / "short", xyz[:3], verts[:3])
    with pytest.raises(DataError, match="3 samples.*has 4"):
        main([str(short), "--data", str(tmp_path / "gt")])
    with pytest.raises(DataError, match="FreiHAND_pub_v2_eval.zip"):
        main([str(file), "--data", str(tmp_path / "out")])
