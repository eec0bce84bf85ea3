"""What a scene holds and how it is lit: framing, things in front, skin, shadows, backgrounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("pytorch3d")

from handzoo.errors import ConfigError  # noqa: E402
from handzoo.hands.articulation import bundled_articulation, collision_depth  # noqa: E402
from handzoo.hands.models import build_hand_model  # noqa: E402
from handzoo.synthesis import poses  # noqa: E402
from handzoo.synthesis.backgrounds import paint  # noqa: E402
from handzoo.synthesis.colors import BACKDROPS, to_linear, to_srgb  # noqa: E402
from handzoo.synthesis.noise import SolidNoise  # noqa: E402
from handzoo.synthesis.occluders import Occluder  # noqa: E402
from handzoo.synthesis.painters import SCENES  # noqa: E402
from handzoo.synthesis.render import ARM, HAND, OBJECT, HandRenderer  # noqa: E402
from handzoo.synthesis.scene import sample_scene  # noqa: E402
from handzoo.synthesis.shading import ShadowMap  # noqa: E402
from handzoo.synthesis.skin import SkinTone, skin_material  # noqa: E402

SIZE = 64


@pytest.fixture(scope="module")
def renderer() -> HandRenderer:
    return HandRenderer(build_hand_model("bundled"), supersample=1)


def draw(renderer: HandRenderer, gesture: str, seed: int, **options):
    rng = np.random.default_rng(seed)
    return sample_scene(
        renderer.model, renderer.surface, "training", gesture, SIZE, 4, rng, **options
    )


@pytest.mark.parametrize("seed", range(6))
def test_hand_fills_the_picture_as_in_freihand(renderer: HandRenderer, seed: int) -> None:
    gesture = "peace" if seed % 2 else "no_gesture"
    scene = draw(renderer, gesture, seed)
    vertices, joints = renderer.pose(scene.body)
    for points in (vertices.numpy(), joints.numpy()):
        projected = points @ scene.body.K.T
        pixels = projected[:, :2] / projected[:, 2:]
        assert (pixels > 0).all() and (pixels < SIZE - 1).all()
    extent = np.ptp((vertices.numpy() @ scene.body.K.T)[:, :2] / vertices[:, 2:].numpy(), axis=0)
    # METRO's crop of FreiHAND keeps the middle 180 of 224 pixels.
    assert 90 < extent.max() * 224 / SIZE < 180
    assert 0.3 < vertices[:, 2].mean() < 1.3


def test_fingers_stay_within_the_joints_limits() -> None:
    hand = bundled_articulation()
    rng = np.random.default_rng(0)
    drawn = [poses.free_fingers(rng) for _ in range(8)]
    drawn += [poses.gesture_fingers(name, rng) for name in poses.NAMED_GESTURES]
    for pose in drawn:
        angles = hand.decompose(pose)
        assert (angles >= hand.limits[..., 0] - 1e-3).all()
        assert (angles <= hand.limits[..., 1] + 1e-3).all()
    assert np.median([collision_depth(pose) for pose in drawn]) < 0.006


def test_arms_do_not_come_out_of_the_camera(renderer: HandRenderer) -> None:
    axis = renderer.surface.rest_axis.numpy()
    rng = np.random.default_rng(1)
    turns = [poses.sample_orientation("no_gesture", axis, rng) for _ in range(60)]
    depths = np.array([(turn @ axis)[2] for turn in turns])
    assert depths.min() > -0.45
    # Palms are seen as well as backs, from all around.
    backs = np.array([turn[2, 1] for turn in turns])
    assert 0.25 < (backs > 0).mean() < 0.75


def test_a_thing_in_front_takes_its_pixels_from_the_mask(renderer: HandRenderer) -> None:
    scene = draw(renderer, "stop", 3, occluders=0.0)
    free = renderer.rasterize(scene.body)
    middle = torch.as_tensor(free.vertices.mean(0) * 0.85)
    scene.body.occluder = Occluder(
        middle, torch.eye(3), torch.full((3,), 0.025), (1.0, 1.0), (0.5, 0, 0), (0, 0, 0.5), 0.4
    )
    held = renderer.rasterize(scene.body)
    before, after = free.coverage(HAND) > 0.5, held.coverage(HAND) > 0.5
    thing = held.coverage(OBJECT) > 0.5
    assert thing.sum() > 20
    assert not (after & thing).any()
    np.testing.assert_array_equal(after, before & ~thing)
    np.testing.assert_array_equal(free.vertices, held.vertices)
    # Asking for most of the hand refuses what hides too much of it.
    share = after.sum() / before.sum()
    assert renderer.rasterize(scene.body, min_visible=min(share + 0.15, 1.0)) is None
    assert renderer.rasterize(scene.body, min_visible=max(share - 0.15, 0.01)) is not None


def test_an_arm_reaches_the_rim_of_the_picture(renderer: HandRenderer) -> None:
    reached = 0
    for seed in range(6):
        buffer = renderer.rasterize(draw(renderer, "one", seed, occluders=0.0).body)
        covered = buffer.coverage() > 0
        rim = np.concatenate([covered[0], covered[-1], covered[:, 0], covered[:, -1]])
        assert (buffer.coverage(ARM) > 0).any()
        reached += bool(rim.any())
    assert reached >= 5


def test_palms_are_paler_and_nails_shine(renderer: HandRenderer) -> None:
    surface = renderer.surface
    noise = SolidNoise(torch.Generator().manual_seed(0))
    material = skin_material(surface, surface.attributes, SkinTone(1.2, 0.2), noise)
    palm = surface.attributes[:, 5]
    light = material.albedo.mean(1)
    assert light[palm > 0.9].mean() > 1.5 * light[palm < 0.1].mean()
    deep = skin_material(surface, surface.attributes, SkinTone(1.8, 0.2), noise)
    pale = skin_material(surface, surface.attributes, SkinTone(0.1, 0.2), noise)
    assert pale.albedo.mean() > 2.5 * deep.albedo.mean()
    # Red is reflected most at every tone, as by all human skin.
    assert (pale.albedo[:, 0] > pale.albedo[:, 1]).float().mean() > 0.99
    # A point in the middle of each nail, and one as far on the other side of the finger.
    centers = surface.nail_centers
    down = centers - 0.009 * surface.nail_frames[:, 2]
    attributes = torch.zeros((10, 6))
    attributes[:, :3] = torch.cat([centers, down])
    attributes[:, 3], attributes[:, 4] = 2.6, 1.0
    attributes[5:, 5] = 1.0
    skin = skin_material(surface, attributes, SkinTone(0.5, 0.2), noise).skin
    torch.testing.assert_close(skin, torch.tensor([0.5] * 5 + [1.0] * 5))


def test_shadow_falls_behind_a_disc_and_softens_with_the_light() -> None:
    corners = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * 0.03
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    to_light = torch.tensor([0.0, 0.0, -1.0])
    shadow = ShadowMap.of(corners, faces, to_light, torch.zeros(3), extent=0.1)
    x = torch.linspace(-0.08, 0.08, 161)
    behind = torch.stack([x, torch.zeros_like(x), torch.full_like(x, 0.05)], 1)
    normals = to_light.expand(len(x), 3)
    spin = torch.zeros(len(x))
    sharp = shadow.lit(behind, normals, 0.02, spin)
    assert (sharp[x.abs() < 0.025] == 0).all()
    assert (sharp[x.abs() > 0.035] == 1).all()
    soft = shadow.lit(behind, normals, 0.4, spin)
    partial = ((soft > 0.05) & (soft < 0.95)).sum(), ((sharp > 0.05) & (sharp < 0.95)).sum()
    assert partial[0] > 3 * partial[1]
    before = behind - torch.tensor([0.0, 0.0, 0.1])
    assert (shadow.lit(before, normals, 0.2, spin) == 1).all()
    assert shadow.thickness(behind)[80].item() == pytest.approx(0.05, abs=1e-4)


@pytest.mark.parametrize("name", [*BACKDROPS, *SCENES])
def test_backgrounds_paint_from_the_generator_alone(name: str) -> None:
    picture = paint(name, 48, np.random.default_rng(5))
    assert picture.shape == (48, 48, 3) and picture.dtype == np.float32
    assert picture.min() >= 0 and picture.max() <= 1
    np.testing.assert_array_equal(picture, paint(name, 48, np.random.default_rng(5)))
    assert np.abs(picture - paint(name, 48, np.random.default_rng(6))).max() > 0
    if name in BACKDROPS:
        np.testing.assert_allclose(picture.mean((0, 1)), BACKDROPS[name], atol=0.06)


def test_unknown_background_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="mountain"):
        paint("mountian", 8, np.random.default_rng(0))


def test_srgb_round_trip() -> None:
    values = np.linspace(0, 1, 256, dtype=np.float32)
    np.testing.assert_allclose(to_srgb(to_linear(values)), values, atol=1e-6)
    assert to_linear(np.float32(0.5)) == pytest.approx(0.2140, abs=1e-4)
