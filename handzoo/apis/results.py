"""What inference returns, and how it is drawn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from handzoo.visualization.export import export_glb, export_obj
from handzoo.visualization.renderer import composite, mirrored_faces, render_mesh, side_view
from handzoo.visualization.skeleton import draw_skeleton


@dataclass
class HandResult:
    """One hand. Metres, camera frame (x right, y down, z forward); left hands are left here.

    Attributes:
        joints3d: (21, 3) relative to the wrist.
        vertices: (778, 3) relative to the wrist.
        joints2d: (21, 2) pixels of the picture.
        camera: (3,) weak perspective (s, tx, ty) in the crop that the network saw, which shows a
            right hand: of a left hand its mirror image.
        translation: (3,) of the wrist in the camera frame, as far as ``K`` is right.
        K: (3, 3) camera of the picture; a guess from its size unless the caller gave one.
        affine: (2, 3) from pixels of the picture to pixels of the crop.
        crop_size: side of the crop in pixels.
        faces: (1538, 3) of the hand's own mesh (turned for a left hand).
        is_right: whether it is a right hand.
        box: (4,) x0, y0, x1, y1 of the square that was cut out, pixels of the picture.
        score: of the detector.
    """

    joints3d: np.ndarray
    vertices: np.ndarray
    joints2d: np.ndarray
    camera: np.ndarray
    translation: np.ndarray
    K: np.ndarray
    affine: np.ndarray
    crop_size: int
    faces: np.ndarray
    is_right: bool
    box: np.ndarray
    score: float = 1.0

    def screen_vertices(self) -> np.ndarray:
        """(778, 3): pixels of the picture and depth in the same unit, weak perspective."""
        scale, shift = self.camera[0], self.camera[1:]
        mirror = np.array([1.0 if self.is_right else -1.0, 1.0])
        crop = (scale * (self.vertices[:, :2] * mirror + shift) + 1) * self.crop_size / 2
        linear, offset = self.affine[:, :2], self.affine[:, 2]
        picture = (crop - offset) @ np.linalg.inv(linear).T
        per_metre = scale * self.crop_size / 2 / np.sqrt(abs(np.linalg.det(linear)))
        return np.concatenate((picture, self.vertices[:, 2:] * per_metre), axis=1)

    def to_dict(self, vertices: bool = True) -> dict[str, Any]:
        """Plain values for JSON; ``vertices`` makes nine tenths of it."""
        names = ["joints3d", "joints2d", "camera", "translation", "K", "affine", "box"]
        names += ["vertices"] if vertices else []
        plain: dict[str, Any] = {
            "hand": "right" if self.is_right else "left",
            "score": round(float(self.score), 4),
            "crop_size": self.crop_size,
        }
        for name in names:
            plain[name] = np.round(getattr(self, name).astype(np.float64), 6).tolist()
        return plain


@dataclass
class ImageResult:
    """The hands of one image or video frame.

    Attributes:
        source: path, or ``array_<n>``.
        image: (H, W, 3) uint8 RGB; None if it could not be read.
        hands: none if the picture could not be read or the detector found none.
        frame: number of the frame of a video.
        fps: frames per second of the video.
        error: why the picture could not be read.
    """

    source: str
    image: np.ndarray | None
    hands: list[HandResult] = field(default_factory=list)
    frame: int | None = None
    fps: float | None = None
    error: str = ""

    def draw_overlay(self, opacity: float = 0.92) -> np.ndarray:
        """The meshes over the picture, (H, W, 3) uint8; farther hands first."""
        picture = self.image
        for hand in sorted(self.hands, key=lambda hand: -hand.translation[2]):
            layer = render_mesh(hand.screen_vertices(), hand.faces, None, picture.shape[:2])
            picture = composite(layer, picture, opacity)
        return picture

    def draw_skeleton(self) -> np.ndarray:
        """The 2D skeletons over the picture, (H, W, 3) uint8."""
        picture = self.image
        for hand in self.hands:
            side = float(hand.box[2] - hand.box[0])  # lines suit the hand, not the picture
            picture = draw_skeleton(picture, hand.joints2d, thickness=max(1.0, 0.014 * side))
        return picture

    def to_dict(self, vertices: bool = True) -> dict[str, Any]:
        """Plain values for JSON."""
        plain: dict[str, Any] = {"source": self.source}
        if self.frame is not None:
            plain["frame"] = self.frame
        if self.error:
            plain["error"] = self.error
        plain["hands"] = [hand.to_dict(vertices) for hand in self.hands]
        return plain

    def save(self, out_dir: str | Path, stem: str | None = None) -> list[Path]:
        """Write ``<stem>_overlay.png``, ``_skeleton.png``, ``_side.png``, ``.obj`` and ``.glb``.

        The meshes are root-relative. With several hands, side views and meshes are numbered.

        Args:
            out_dir: folder, made if needed.
            stem: of the files' names; the source's if None.

        Returns:
            Files written; none for a picture that could not be read.
        """
        if self.image is None:
            return []
        folder = Path(out_dir)
        folder.mkdir(parents=True, exist_ok=True)
        stem = stem or Path(self.source).stem
        written = [
            write_picture(folder / f"{stem}_overlay.png", self.draw_overlay()),
            write_picture(folder / f"{stem}_skeleton.png", self.draw_skeleton()),
        ]
        for number, hand in enumerate(self.hands):
            name = stem if len(self.hands) == 1 else f"{stem}_{number}"
            view = side_view(hand.vertices, hand.faces, size=384)
            written.append(write_picture(folder / f"{name}_side.png", view))
            right_faces = hand.faces if hand.is_right else mirrored_faces(hand.faces)
            for suffix, export in ((".obj", export_obj), (".glb", export_glb)):
                path = folder / (name + suffix)
                export(path, hand.vertices, right_faces, hand.is_right)
                written.append(path)
        return written


class Results(list[ImageResult]):
    """Results of a call, in the order of the inputs.

    Attributes:
        info: model, checkpoint, resources and conventions, written with the predictions.
    """

    def __init__(self, results: Iterable[ImageResult], info: dict[str, Any] | None = None) -> None:
        super().__init__(results)
        self.info = dict(info or {})

    @property
    def hands(self) -> list[HandResult]:
        """The hands of all pictures."""
        return [hand for result in self for hand in result.hands]

    def save(self, out_dir: str | Path) -> Path:
        """Write pictures, meshes, videos and ``predictions.json``; returns the latter's path."""
        from handzoo.apis.writer import ResultWriter

        with ResultWriter(out_dir, self.info) as writer:
            for result in self:
                writer.add(result)
        return writer.predictions


def write_picture(path: Path, image: np.ndarray) -> Path:
    """Write an RGB picture."""
    import cv2

    written, encoded = cv2.imencode(path.suffix, np.ascontiguousarray(image[..., ::-1]))
    if not written:
        raise ValueError(f"cannot encode {path.name}")
    path.write_bytes(encoded.tobytes())
    return path
