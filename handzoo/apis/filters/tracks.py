"""Runs filters over the results of a video: one for each hand, however many there are."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np

from handzoo.apis.filters.base import HandState, PredictionFilter
from handzoo.apis.placement import place_hand
from handzoo.apis.results import HandResult, ImageResult


@dataclass
class _Track:
    """One hand over time: its filter, and where and when it was last seen."""

    filter: PredictionFilter
    is_right: bool
    center: np.ndarray
    side: float
    time: float

    def distance(self, hand: HandResult) -> float:
        """From the last box to this one, in sides of the larger; infinite for the other hand."""
        if hand.is_right != self.is_right:
            return float("inf")
        center, side = _box(hand)
        return float(np.linalg.norm(center - self.center) / max(side, self.side))


class TrackFilter:
    """Filter the hands of videos; pictures that belong to no video pass unchanged.

    A hand continues the nearest track of the same side whose last box lies within ``reach`` of
    its own; any other starts anew. A new video starts anew as well.

    Args:
        prototype: copied for every track.
        max_gap: seconds after which a hand that was not seen counts as gone.
        reach: largest step of a box from frame to frame, in sides of the box.
    """

    def __init__(
        self, prototype: PredictionFilter, max_gap: float = 0.5, reach: float = 0.75
    ) -> None:
        self.prototype = prototype
        self.max_gap = max_gap
        self.reach = reach
        self._source: str | None = None
        self._tracks: list[_Track] = []

    def __call__(self, result: ImageResult) -> ImageResult:
        """The result with its hands filtered; results must come in the order of the frames."""
        if result.frame is None or result.image is None:
            return result
        time = result.frame / (result.fps or 25.0)
        if result.source != self._source or any(track.time >= time for track in self._tracks):
            self._source, self._tracks = result.source, []
        self._tracks = [track for track in self._tracks if time - track.time <= self.max_gap]
        size = result.image.shape[:2]
        # A prediction that is not finite would stay in a filter's memory for good.
        usable = [k for k, hand in enumerate(result.hands) if to_state(hand, size).is_finite()]
        hands = list(result.hands)
        for index, track in self._match([hands[k] for k in usable]).items():
            hand = hands[usable[index]]
            if track is None:
                fresh = copy.deepcopy(self.prototype)
                fresh.reset()
                track = _Track(fresh, hand.is_right, *_box(hand), time)
                self._tracks.append(track)
            track.center, track.side = _box(hand)
            track.time = time
            state = track.filter(to_state(hand, size), time)
            hands[usable[index]] = from_state(state, hand, size)
        return replace(result, hands=hands)

    def _match(self, hands: list[HandResult]) -> dict[int, _Track | None]:
        """Track of each hand, the nearest pairs first; None for a hand that is new."""
        pairs = sorted(
            (track.distance(hand), h, t)
            for h, hand in enumerate(hands)
            for t, track in enumerate(self._tracks)
        )
        matched: dict[int, _Track | None] = {}
        taken: set[int] = set()
        for distance, h, t in pairs:
            if distance <= self.reach and h not in matched and t not in taken:
                matched[h] = self._tracks[t]
                taken.add(t)
        return {h: matched.get(h) for h in range(len(hands))}


def _box(hand: HandResult) -> tuple[np.ndarray, float]:
    return (hand.box[:2] + hand.box[2:]) / 2, float(hand.box[2] - hand.box[0])


def to_state(hand: HandResult, size: tuple[int, int]) -> HandState:
    """What a filter sees of a hand.

    Args:
        hand: one result.
        size: height and width of the picture.
    """
    mirror = _mirror(hand)
    half, middle = _frame(size)
    linear, offset = hand.affine[:, :2], hand.affine[:, 2]
    shrink = np.sqrt(abs(np.linalg.det(linear)))
    scale, shift = float(hand.camera[0]), hand.camera[1:].astype(np.float64)
    wrist = np.linalg.solve(linear, (scale * shift + 1) * hand.crop_size / 2 - offset)
    per_metre = scale * hand.crop_size / 2 / shrink
    camera = np.array([per_metre, *(wrist - middle)]) / half * [1, mirror[0], 1]
    return HandState(hand.joints3d * mirror, hand.vertices * mirror, camera)


def from_state(state: HandState, hand: HandResult, size: tuple[int, int]) -> HandResult:
    """The result with a filtered state in the place of its own; inverse of :func:`to_state`."""
    mirror = _mirror(hand)
    half, middle = _frame(size)
    linear, offset = hand.affine[:, :2], hand.affine[:, 2]
    shrink = np.sqrt(abs(np.linalg.det(linear)))
    per_metre, *wrist = state.camera * half * [1, mirror[0], 1]
    scale = per_metre * shrink * 2 / hand.crop_size
    in_crop = linear @ (np.array(wrist) + middle) + offset
    shift = (in_crop * 2 / hand.crop_size - 1) / scale
    return place_hand(
        state.joints.astype(np.float32),
        state.vertices.astype(np.float32),
        np.array([scale, *shift], dtype=np.float32),
        K=hand.K,
        affine=hand.affine,
        crop_size=hand.crop_size,
        faces=hand.faces,
        is_right=hand.is_right,
        box=hand.box,
        score=hand.score,
    )


def _mirror(hand: HandResult) -> np.ndarray:
    return np.array([1.0 if hand.is_right else -1.0, 1.0, 1.0], dtype=np.float32)


def _frame(size: tuple[int, int]) -> tuple[float, np.ndarray]:
    """Half the longer side, and the middle (x, y) of a picture, in pixels."""
    height, width = size
    return max(height, width) / 2, np.array([(width - 1) / 2, (height - 1) / 2])
