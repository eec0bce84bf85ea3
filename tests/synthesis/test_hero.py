"""The banner of the README."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

pytest.importorskip("pytorch3d")

from handzoo.synthesis.hero import HANDS, HEIGHT, WIDTH, render_hero  # noqa: E402


@pytest.mark.slow
def test_banner_shows_every_hand_twice(tmp_path: Path) -> None:
    banner = cv2.imread(str(render_hero(tmp_path / "hero.png")))
    assert banner.shape == (2 * HEIGHT, WIDTH * len(HANDS), 3)
    for number in range(len(HANDS)):
        for row in range(2):
            cell = banner[row * HEIGHT : (row + 1) * HEIGHT, number * WIDTH : (number + 1) * WIDTH]
            edges = cv2.Canny(cell, 60, 120)
            assert (edges > 0).mean() > 0.01
