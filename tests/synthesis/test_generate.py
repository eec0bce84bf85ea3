"""A generated data set: its layout, its annotation, and that a seed fixes every byte."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip("pytorch3d")

from handzoo.datasets.prompts import parse_prompt  # noqa: E402
from handzoo.errors import DataError  # noqa: E402
from handzoo.hands.gestures import GESTURES  # noqa: E402
from handzoo.hands.models import build_hand_model  # noqa: E402
from handzoo.synthesis.cli import main  # noqa: E402
from handzoo.synthesis.colors import BACKDROPS  # noqa: E402
from handzoo.synthesis.generate import SynthesisConfig, synthesize  # noqa: E402
from handzoo.synthesis.painters import SCENES  # noqa: E402
from handzoo.visualization.rasterize import rasterize  # noqa: E402

SMALL = dict(train=4, eval=1, versions=4, size=96, supersample=2, occluders=0.0, seed=11)


def read(root: Path, name: str) -> list:
    return json.loads((root / f"{name}.json").read_text())


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesize(SynthesisConfig(tmp_path_factory.mktemp("set") / "data", **SMALL))


def test_layout_is_freihand_v2(data: Path) -> None:
    names = set(files(data))
    expected = {f"training/rgb/{i:08d}.jpg" for i in range(16)}
    expected |= {f"training/mask/{i:08d}.jpg" for i in range(4)}
    expected |= {"evaluation/rgb/00000000.jpg", "synthesis.json"}
    for split in ("training", "evaluation"):
        expected |= {f"{split}_{n}.json" for n in ("K", "xyz", "verts", "mano", "scale", "meta")}
    assert names == expected
    for name, shape in {"K": (3, 3), "xyz": (21, 3), "verts": (778, 3), "mano": (1, 61)}.items():
        assert np.array(read(data, f"training_{name}")).shape == (4, *shape)
    assert np.array(read(data, "training_scale")).shape == (4,)
    for path in (data / "training" / "rgb").iterdir():
        assert cv2.imread(str(path)).shape == (96, 96, 3)


def test_scale_is_the_middle_fingers_first_bone(data: Path) -> None:
    xyz = np.array(read(data, "training_xyz"))
    bone = np.linalg.norm(xyz[:, 9] - xyz[:, 10], axis=1)
    np.testing.assert_allclose(read(data, "training_scale"), bone, atol=2e-5)


@pytest.mark.parametrize("split", ["training", "evaluation"])
def test_mano_decodes_to_the_mesh(data: Path, split: str) -> None:
    """FreiHAND's own decoding (utils/model.py): pose, then put joint 9 where uv and scale say."""
    model = build_hand_model("bundled")
    mano, K = np.array(read(data, f"{split}_mano"))[:, 0], np.array(read(data, f"{split}_K"))
    parameters = torch.tensor(mano, dtype=torch.float32)
    out = model(parameters[:, :48], parameters[:, 48:58])
    focal = 0.5 * (K[:, 0, 0] + K[:, 1, 1])
    root = np.stack([*(mano[:, 58:60] - K[:, :2, 2]).T, focal], 1) / mano[:, 60:]
    shift = root - out.joints[:, 9].numpy()
    vertices = out.vertices.numpy() + shift[:, None]
    np.testing.assert_allclose(vertices, read(data, f"{split}_verts"), atol=2e-5)
    joints = out.joints.numpy() + shift[:, None]
    np.testing.assert_allclose(joints, read(data, f"{split}_xyz"), atol=2e-5)


def test_mask_is_the_projected_mesh(data: Path) -> None:
    """The drawn surface is subdivided; the mask must still be that of the 778 vertices.

    An arm may hide part of a hand, so the mask may be smaller, but never larger.
    """
    faces = build_hand_model("bundled").faces
    overlaps = []
    for index in range(4):
        vertices = np.array(read(data, "training_verts")[index])
        points = vertices @ np.array(read(data, "training_K")[index]).T
        screen = np.concatenate([points[:, :2] / points[:, 2:], vertices[:, 2:]], 1)
        seen = rasterize(torch.tensor(screen, dtype=torch.float32), faces, (96, 96))
        outline = np.zeros(96 * 96, bool)
        outline[seen.pixel.numpy()] = True
        mask = cv2.imread(str(data / f"training/mask/{index:08d}.jpg"), cv2.IMREAD_GRAYSCALE) > 127
        mask = mask.reshape(-1)
        assert (mask & ~outline).sum() < 0.05 * mask.sum()
        overlaps.append((mask & outline).sum() / (mask | outline).sum())
    assert sorted(overlaps)[-2] > 0.9
    assert min(overlaps) > 0.55


def test_meta_names_gesture_background_and_prompt(data: Path) -> None:
    for sample in read(data, "training_meta"):
        assert sample["gesture"] in GESTURES
        assert len(set(sample["colors"])) == 4
        assert set(sample["colors"]) <= {*BACKDROPS, *SCENES}
        for color, prompt in zip(sample["colors"], sample["prompts"], strict=True):
            parsed = parse_prompt(prompt)
            assert (parsed.color, parsed.gesture) == (color, sample["gesture"])


def test_plain_backgrounds_show_the_colour_they_name(data: Path) -> None:
    checked = 0
    for index, sample in enumerate(read(data, "training_meta")):
        for version, color in enumerate(sample["colors"]):
            if color not in BACKDROPS:
                continue
            picture = cv2.imread(str(data / f"training/rgb/{index + 4 * version:08d}.jpg"))
            rim = np.concatenate([picture[:4].reshape(-1, 3), picture[-4:].reshape(-1, 3)])
            found = np.median(rim, axis=0)[::-1] / 255
            np.testing.assert_allclose(found, BACKDROPS[color], atol=0.14)
            checked += 1
    assert checked >= 8


def test_versions_differ_in_background_and_share_the_hand(data: Path) -> None:
    mask = cv2.imread(str(data / "training/mask/00000000.jpg"), cv2.IMREAD_GRAYSCALE)
    inside = cv2.erode(mask, np.ones((5, 5))) > 200
    pictures = [
        cv2.imread(str(data / f"training/rgb/{4 * version:08d}.jpg"), cv2.IMREAD_GRAYSCALE)
        for version in range(4)
    ]
    for other in pictures[1:]:
        alike = np.corrcoef(pictures[0][inside], other[inside])[0, 1]
        assert alike > 0.8
        assert np.abs(pictures[0].astype(int) - other)[mask < 10].mean() > 5


def test_same_seed_same_bytes_and_any_number_of_workers(data: Path, tmp_path: Path) -> None:
    again = synthesize(SynthesisConfig(tmp_path / "again", **{**SMALL, "workers": 2}))
    assert files(again) == files(data)


def test_a_hand_does_not_depend_on_how_many_are_made(data: Path, tmp_path: Path) -> None:
    few = {**SMALL, "train": 1, "eval": 0}
    fewer = synthesize(SynthesisConfig(tmp_path / "few", **few))
    assert read(fewer, "training_mano")[0] == read(data, "training_mano")[0]
    # Version 2 is file 2 of a set of one hand and file 8 of a set of four.
    one, other = "training/rgb/00000002.jpg", "training/rgb/00000008.jpg"
    assert (fewer / one).read_bytes() == (data / other).read_bytes()


def test_other_seeds_make_other_hands(data: Path, tmp_path: Path) -> None:
    other = synthesize(SynthesisConfig(tmp_path / "other", **{**SMALL, "seed": 12, "train": 1}))
    assert read(other, "training_mano")[0] != read(data, "training_mano")[0]


def test_resume_makes_what_is_missing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from handzoo.synthesis import generate

    config = SynthesisConfig(tmp_path / "set", **SMALL)
    work, done = generate._work, []

    def fail_on_third(config: SynthesisConfig, task: tuple[str, int]) -> tuple[str, int]:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(task)
        return work(config, task)

    monkeypatch.setattr(generate, "_work", fail_on_third)
    with pytest.raises(KeyboardInterrupt):
        synthesize(config)
    assert not (config.out / "training_xyz.json").exists()

    later = []
    monkeypatch.setattr(generate, "_work", lambda c, task: (later.append(task), work(c, task))[1])
    with pytest.raises(DataError, match="--resume"):
        synthesize(config)
    with pytest.raises(DataError, match="seed"):
        synthesize(SynthesisConfig(config.out, **{**SMALL, "seed": 99}), resume=True)
    synthesize(config, resume=True)
    assert not set(later) & set(done)
    assert len(later) + len(done) == 5
    assert files(config.out) == files(data)


def test_command_line_overwrites_only_its_own(tmp_path: Path) -> None:
    arguments = ["--train=1", "--eval=0", "--versions=1", "--size=48", "--supersample=1"]
    out = tmp_path / "set"
    assert main(["--out", str(out), *arguments]) == 0
    assert main(["--out", str(out), *arguments, "--overwrite"]) == 0
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match="not empty"):
        main(["--out", str(foreign), *arguments, "--overwrite"])
    assert (foreign / "thesis.tex").exists()
