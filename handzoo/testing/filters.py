"""What every prediction filter must do; see :mod:`handzoo.apis.filters.base`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from handzoo.apis.filters import HandState, PredictionFilter
from handzoo.hands.topology import HandTopology
from handzoo.registry import PREDICTION_FILTERS
from handzoo.testing.configs import check_config
from handzoo.testing.drivers import Context, require

_NAMES = tuple(spec.name for spec in fields(HandState))
_FRAMES = 40


def make_motion(
    topology: HandTopology, frames: int = _FRAMES, seed: int = 0, jitter: float = 0.004
) -> tuple[list[HandState], list[float]]:
    """A hand that turns and moves, with a predictor's jitter, and its timestamps.

    Args:
        topology: gives the mesh.
        frames: how many.
        seed: of the motion and the jitter.
        jitter: standard deviation in metres.

    Returns:
        States (float32, as inference makes them), and seconds with steps that are not quite equal.
    """
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.9, 1.1, frames)) / 30
    template = (topology.template - topology.template_joints[:1]).double().numpy()
    regressor = topology.joint_regressor.double().numpy()
    states = []
    for time in times:
        angle = 0.8 * np.sin(2.5 * time + seed)
        cos, sin = np.cos(angle), np.sin(angle)
        vertices = template @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1.0]])
        joints = regressor @ vertices
        vertices, joints = vertices - joints[:1], joints - joints[:1]
        common = jitter * rng.standard_normal(3)
        joints[1:] += common + jitter * rng.standard_normal((20, 3))
        vertices += common + 0.3 * jitter * rng.standard_normal(vertices.shape)
        camera = [4 + 0.1 * rng.standard_normal(), 0.2 * np.sin(time), 0.02 * rng.standard_normal()]
        arrays = (np.asarray(value, np.float32) for value in (joints, vertices, camera))
        states.append(HandState(*arrays))
    return states, times.tolist()


def build_filter(config: Mapping[str, Any], context: Context) -> PredictionFilter:
    """Build a filter as video inference would."""
    return PREDICTION_FILTERS.build(config, topology=context.topology)


def _run(part: PredictionFilter, states: list[HandState], times: list[float]) -> list[HandState]:
    part.reset()
    return [part(state, time) for state, time in zip(states, times, strict=True)]


def _same(found: HandState, wanted: HandState, message: str, atol: float = 1e-6) -> None:
    for name in _NAMES:
        difference = np.abs(getattr(found, name) - getattr(wanted, name)).max()
        require(difference <= atol, f"{message}: {name} differs by {difference:.3g}")


def _contract(role: str, config: Mapping[str, Any], context: Context) -> None:
    """It returns finite hands of the same shapes and dtypes, and leaves its input as it is."""
    part = build_filter(config, context)
    require(isinstance(part, PredictionFilter), f"derive {type(part).__name__} from the contract")
    states, times = make_motion(context.topology)
    before = copy.deepcopy(states)
    part.reset()
    for state, kept, time in zip(states, before, times, strict=True):
        found = part(state, time)
        require(isinstance(found, HandState), f"a filter returns a HandState, not {found!r}")
        require(found.is_finite(), "what it returns is not finite")
        for name in _NAMES:
            given, got = getattr(state, name), getattr(found, name)
            require(
                got.shape == given.shape and got.dtype == given.dtype,
                f"{name} must stay {given.shape} {given.dtype}, not {got.shape} {got.dtype}",
            )
        _same(state, kept, "the input was changed", 0.0)


def _causal(role: str, config: Mapping[str, Any], context: Context) -> None:
    """What is returned at time t does not depend on what comes later."""
    part = build_filter(config, context)
    states, times = make_motion(context.topology)
    others, _ = make_motion(context.topology, seed=5)
    half = len(states) // 2
    whole = _run(part, states, times)
    changed = _run(part, states[:half] + others[half:], times)
    for first, second in zip(whole[:half], changed[:half], strict=True):
        _same(second, first, "a frame depends on later ones")


def _constant(role: str, config: Mapping[str, Any], context: Context) -> None:
    """A hand that does not change is returned as it is, from the first frame on."""
    part = build_filter(config, context)
    states, times = make_motion(context.topology)
    for found in _run(part, [states[3]] * len(times), times):
        _same(found, states[3], "a hand at rest was changed", 1e-5)


def _reset(role: str, config: Mapping[str, Any], context: Context) -> None:
    """After reset nothing of earlier frames is left, and timestamps may start again."""
    part = build_filter(config, context)
    states, times = make_motion(context.topology)
    first = _run(part, states, times)
    _run(part, make_motion(context.topology, seed=7)[0], [time + 100 for time in times])
    for again, wanted in zip(_run(part, states, times), first, strict=True):
        _same(again, wanted, "earlier frames are remembered after reset")


def _copies(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Copies do not share memory: each hand of a video gets one."""
    part = build_filter(config, context)
    states, times = make_motion(context.topology)
    others, _ = make_motion(context.topology, seed=5)
    alone = _run(part, states, times)
    part.reset()
    twin = copy.deepcopy(part)
    twin.reset()
    for state, other, time, wanted in zip(states, others, times, alone, strict=True):
        found = part(state, time)
        twin(other, time)
        _same(found, wanted, "a copy for another hand changes the result")


def _outliers(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Wild frames and long gaps leave it finite."""
    part = build_filter(config, context)
    states, times = make_motion(context.topology)
    states[10] = replace(states[10], joints=states[10].joints * 50)
    states[20] = replace(states[20], camera=np.array([1e-3, 40, -40], np.float32))
    late = times[:30] + [time + 60 for time in times[30:]]
    for found in _run(part, states, late):
        require(found.is_finite(), "an outlier makes the result not finite")


def _config(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Its config survives being dumped and read again; a wrong argument is refused by name."""
    check_config(config, lambda part: build_filter(part, context))


CHECKS: tuple[Callable[[str, Mapping[str, Any], Context], None], ...] = (
    _contract,
    _causal,
    _constant,
    _reset,
    _copies,
    _outliers,
    _config,
)
