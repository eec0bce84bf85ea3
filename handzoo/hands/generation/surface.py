"""The skin as an implicit surface: tapered tubes and ellipsoids, blended smoothly.

Every primitive is an ellipsoid-like field scaled by its gradient so that it approximates a
distance near its surface; the union is a soft minimum whose radius is large in the palm, where
flesh merges, and small at the fingers, which must stay apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.interpolate import PchipInterpolator

from handzoo.hands.generation.anatomy import FINGER_ORDER, Anatomy, Finger


@dataclass(frozen=True)
class Tube:
    """A straight tube of varying elliptical section with ellipsoidal ends.

    ``profile`` maps the axial coordinate to half width, dorsal and palmar half height (mm);
    ``caps`` are the lengths over which both ends round off.
    """

    origin: np.ndarray
    forward: np.ndarray
    dorsal: np.ndarray
    start: float
    end: float
    caps: tuple[float, float]
    profile: PchipInterpolator

    def __call__(self, points: np.ndarray) -> np.ndarray:
        local = points - self.origin
        t = local @ self.forward
        y = local @ self.dorsal
        z = local @ np.cross(self.dorsal, self.forward)
        inner = np.clip(t, self.start + self.caps[0], self.end - self.caps[1])
        width, dorsal, palmar = self.profile(np.clip(t, self.start, self.end)).T
        height = np.where(y > 0, dorsal, palmar)
        cap = np.where(t > inner, self.caps[1], self.caps[0])
        return _scaled(
            np.stack([z, y, _blunted(t - inner, cap)], -1), np.stack([width, height, cap], -1)
        )


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid: centre (3,), axes as rows (3,3), radii (3,) in millimetres."""

    center: np.ndarray
    axes: np.ndarray
    radii: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        return _scaled((points - self.center) @ self.axes.T, self.radii)


def _scaled(offset: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """First-order distance to an ellipsoid (mm), negative inside."""
    level = np.sqrt((offset**2 / radii**2).sum(-1))
    slope = np.sqrt((offset**2 / radii**4).sum(-1))
    return level * (level - 1.0) / np.maximum(slope, 1e-6)


def _blunted(axial: np.ndarray, cap: np.ndarray) -> np.ndarray:
    """Axial offset that keeps an end full for longer than an ellipsoid does."""
    ratio = np.abs(axial) / cap
    return axial * np.sqrt(np.minimum(ratio, 1.0)) ** 0.7


def _tube(origin: np.ndarray, forward: np.ndarray, dorsal: np.ndarray, start: float, end: float,
          caps: tuple[float, float], knots: list[tuple[float, float, float, float]],
          scale: float = 1.0) -> Tube:  # fmt: skip
    table = np.array(knots)
    return Tube(origin, forward, dorsal, start, end, caps,
                PchipInterpolator(table[:, 0], table[:, 1:] * scale))  # fmt: skip


def _finger_tube(finger: Finger, anatomy: Anatomy) -> Tube:
    """Free finger: pads between the creases, knuckles at the joints, a rounded tip."""
    first, second, third = finger.lengths
    pip, dip, tip = first, first + second, first + second + third
    k, slim = anatomy.knuckles, 1.0 - 0.055 * anatomy.taper
    knots = [
        (-14.0, 9.2, 7.6, 9.5),
        (0.0, 10.2, 9.2 + 0.5 * k, 10.5),
        (finger.web * 0.9, 10.1, 7.8, 9.9),
        (0.5 * (finger.web + pip), 9.3, 7.5, 9.5),
        (pip, 8.7 + 0.7 * k, 7.6 + 0.9 * k, 7.7),
        (0.5 * (pip + dip) + 1.0, 8.2, 6.9, 8.2),
        (dip, (7.9 + 0.35 * k) * slim, (6.5 + 0.35 * k) * slim, 6.7 * slim),
        (dip + 0.45 * third, 7.7 * slim, 5.7 * slim, 7.5 * slim),
        (tip - 6.0, 7.2 * slim, 5.2 * slim, 6.6 * slim),
        (tip, 6.6 * slim, 4.7 * slim, 5.8 * slim),
    ]
    return _tube(finger.joints[0], finger.forward[0], finger.dorsal[0], -14.0, tip,
                 (8.0, 11.5 * finger.girth), knots, finger.girth)  # fmt: skip


def _thumb_parts(thumb: Finger, anatomy: Anatomy) -> list[Tube]:
    metacarpal, proximal, distal = thumb.lengths
    k, slim, girth = anatomy.knuckles, 1.0 - 0.055 * anatomy.taper, thumb.girth
    parts = [
        ([(-10.0, 11.0, 10.0, 12.0), (0.5 * metacarpal, 11.0, 9.6, 12.5),
          (metacarpal, 10.2 + 0.5 * k, 8.8 + 0.6 * k, 10.3), (metacarpal + 9, 9.6, 8.2, 10.0)],
         -10.0, metacarpal + 9.0, (10.0, 9.0)),
        ([(-9.0, 9.8, 8.6, 10.2), (0.0, 10.2 + 0.3 * k, 8.6 + 0.5 * k, 10.3),
          (0.5 * proximal, 9.6, 7.8, 10.0), (proximal, 9.8 + 0.4 * k, 7.7 + 0.5 * k, 8.7),
          (proximal + 8, 9.0, 6.6, 8.6)], -9.0, proximal + 8.0, (9.0, 8.0)),
        ([(-8.0, 9.4, 7.8, 8.6), (0.0, (9.9 + 0.3 * k) * slim, 7.7 + 0.4 * k, 8.5),
          (0.5 * distal, 9.7 * slim, 6.6 * slim, 9.2 * slim),
          (distal - 6.0, 9.2 * slim, 6.0 * slim, 7.8 * slim),
          (distal, 8.4 * slim, 5.4 * slim, 6.8 * slim)], -8.0, distal, (8.0, 13.0)),
    ]  # fmt: skip
    return [
        _tube(thumb.joints[bone], thumb.forward[bone], thumb.dorsal[bone], start, end, caps,
              knots, girth)
        for bone, (knots, start, end, caps) in enumerate(parts)
    ]  # fmt: skip


def _orthonormal(forward: np.ndarray, up: np.ndarray) -> np.ndarray:
    forward = forward / np.linalg.norm(forward)
    up = up - forward * (up @ forward)
    up /= np.linalg.norm(up)
    return np.stack([forward, up, np.cross(forward, up)])


class HandSurface:
    """The implicit skin of one hand. Call it with points (N,3) mm: negative is inside."""

    def __init__(self, anatomy: Anatomy) -> None:
        self.anatomy = anatomy
        self.free = [_finger_tube(anatomy.fingers[name], anatomy) for name in FINGER_ORDER]
        self.thumb = _thumb_parts(anatomy.fingers["thumb"], anatomy)
        self.palm = self._palm_parts()
        # The end of the web: in front of it fingers must not merge any more.
        self._web_x = np.array(
            [anatomy.fingers[name].point(anatomy.fingers[name].web)[0] for name in FINGER_ORDER]
        )
        self._web_z = np.array(
            [anatomy.fingers[name].point(anatomy.fingers[name].web)[2] for name in FINGER_ORDER]
        )

    def _palm_parts(self) -> list:
        anatomy = self.anatomy
        full, width, girth = anatomy.fullness, anatomy.width, anatomy.girth
        parts: list = []
        for name in FINGER_ORDER:
            finger = anatomy.fingers[name]
            start, end = anatomy.carpus[name], finger.joints[0]
            span = float(np.linalg.norm(end - start))
            axes = _orthonormal(end - start, np.array([0.0, 1.0, 0.0]))
            knots = [
                (-12.0, 11.0, 11.0, 13.0),
                (0.45 * span, 10.6, 9.0, 12.4 * full),
                (span - 8.0, 11.3, 8.6, 13.0 * full),
                (span + 10.0, 10.6, 8.0 + 0.6 * anatomy.knuckles, 11.2),
            ]
            scale = girth * (0.9 if name == "little" else 1.0)
            parts.append(
                _tube(start, axes[0], axes[1], -12.0, span + 10.0, (10.0, 12.0), knots, scale)
            )
            # The head of the metacarpal shows as a knuckle.
            radii = np.array([8.0, 4.6, 5.0]) * scale
            parts.append(Ellipsoid(end + axes[1] * (3.7 + 0.9 * anatomy.knuckles) * scale
                                   - 2.0 * axes[0], axes, radii))  # fmt: skip
        wrist = anatomy.wrist
        knots = [(-26.0, 29.0, 14.0, 16.0), (-12.0, 28.5, 14.5, 16.0), (0.0, 27.5, 15.0, 16.5),
                 (14.0, 27.0, 15.5, 17.0), (40.0, 27.5, 16.0, 18.0)]  # fmt: skip
        table = np.array(knots) * np.array([1.0, 0.5 + 0.5 * width, girth, girth])
        parts.append(
            Tube(wrist, np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), -30.0, 60.0, (14.0, 14.0),
                 PchipInterpolator(table[:, 0], table[:, 1:]))
        )  # fmt: skip
        thumb = anatomy.fingers["thumb"]
        little = anatomy.fingers["little"]
        middle = thumb.point(0.5 * thumb.lengths[0])
        up = np.array([0.0, 1.0, 0.0])
        thenar = _orthonormal(thumb.forward[0] + np.array([0.0, 0.05, -0.15]), up)
        parts.append(Ellipsoid(middle + np.array([0.0, -4.5, -8.0]), thenar,
                               np.array([29.0, 13.0 * full, 16.0]) * girth))  # fmt: skip
        ray = anatomy.carpus["little"] - little.joints[0]
        parts.append(Ellipsoid(little.joints[0] + 0.72 * ray + np.array([0.0, -8.0, -5.0]),
                               _orthonormal(-ray, up),
                               np.array([31.0, 11.0 * full, 13.0]) * girth))  # fmt: skip
        # The fold between thumb and index finger.
        index = anatomy.fingers["index"]
        inner = thumb.point(0.62 * thumb.lengths[0])
        outer = index.joints[0] + np.array([14.0, -3.0, 0.0])
        parts.append(Ellipsoid(0.5 * (inner + outer) + np.array([6.0, 0.0, 0.0]),
                               _orthonormal(inner - outer, up),
                               np.array([21.0, 7.0, 13.0]) * girth))  # fmt: skip
        # Pads under the knuckles reach into the webs.
        for first, second in pairwise(FINGER_ORDER):
            one, two = anatomy.fingers[first], anatomy.fingers[second]
            center = 0.5 * (one.point(0.45 * one.web) + two.point(0.45 * two.web))
            parts.append(Ellipsoid(center + np.array([0.0, -1.5, 0.0]),
                                   _orthonormal(one.forward[0] + two.forward[0], up),
                                   np.array([11.0, 7.5, 8.0]) * girth))  # fmt: skip
        return parts

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Approximate signed distance (N,) in mm of points (N,3)."""
        points = np.asarray(points, dtype=float)
        order = np.argsort(self._web_z)
        web = np.interp(points[:, 2], self._web_z[order], self._web_x[order])
        # 0 in the palm, 1 beyond the web.
        beyond = np.clip((web + 8.0 - points[:, 0]) / 14.0, 0.0, 1.0)
        beyond = beyond * beyond * (3 - 2 * beyond)
        radius = 3.4 * (1 - beyond) + 0.7 * beyond
        fields = np.stack([part(points) for part in (*self.free, *self.thumb, *self.palm)])
        low = fields.min(0)
        return low - radius * np.log(np.exp(-(fields - low) / radius).sum(0))

    def value_and_gradient(
        self, points: np.ndarray, step: float = 0.05
    ) -> tuple[np.ndarray, np.ndarray]:
        """Distance (N,) and its gradient (N,3), from four samples at a tetrahedron's corners."""
        corners = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
        samples = points[None] + step * corners[:, None]
        values = self(samples.reshape(-1, 3)).reshape(4, -1)
        return values.mean(0), values.T @ corners / (4 * step)

    def project(self, points: np.ndarray, iterations: int = 4) -> np.ndarray:
        """Move points (N,3) to the surface along the gradient (damped Newton steps)."""
        for _ in range(iterations):
            value, slope = self.value_and_gradient(points)
            step = value / np.maximum((slope**2).sum(-1), 0.09)
            points = points - np.clip(step, -6, 6)[:, None] * slope
        return points

    def cast(self, origin: np.ndarray, direction: np.ndarray, reach: float = 40.0) -> np.ndarray:
        """First exit (N,3) from the flesh along unit directions (N,3) from origins (N,3)."""
        steps = np.linspace(0.0, reach, 81)
        samples = origin[:, None] + direction[:, None] * steps[None, :, None]
        values = self(samples.reshape(-1, 3)).reshape(len(origin), -1)
        outside = values > 0
        outside[:, -1] = True
        first = np.maximum(outside.argmax(1), 1)
        low, high = steps[first - 1], steps[first]
        for _ in range(24):
            middle = 0.5 * (low + high)
            inside = self(origin + direction * middle[:, None]) < 0
            low, high = np.where(inside, middle, low), np.where(inside, high, middle)
        return origin + direction * (0.5 * (low + high))[:, None]
