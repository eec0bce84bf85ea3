"""Rendered pictures against projected geometry, in square and other pictures."""

import cv2
import numpy as np
import pytest
import torch

from handzoo.hands.camera import (
    normalized_to_pixels,
    perspective_project,
    weak_perspective_project,
)
from handzoo.hands.models import load_bundled
from handzoo.visualization.rasterize import interpolate, rasterize
from handzoo.visualization.renderer import (
    Style,
    composite,
    mirrored_faces,
    overlay_mesh,
    overlay_weak_perspective,
    render_mesh,
    render_view,
    side_view,
    vertex_normals,
    weak_perspective_intrinsics,
)

PLAIN = Style(supersample=1)


@pytest.fixture(scope="module")
def hand():
    model = load_bundled()
    pose = torch.zeros(1, 48)
    pose[0, :3] = torch.tensor([1.2, 0.3, -0.4])
    with torch.no_grad():
        vertices = model(pose).vertices[0]
    return vertices - vertices.mean(0), model.faces


def covered_centres(points, faces, size):
    """The silhouette in float64: pixels whose centre lies in some projected triangle."""
    y, x = np.mgrid[: size[0], : size[1]].reshape(2, -1).astype(np.float64)
    mask = np.zeros(len(x), bool)
    for a, b, c in points.astype(np.float64)[faces]:
        sides = [
            (q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0])
            for p, q in ((a, b), (b, c), (c, a))
        ]
        mask |= np.all([side >= 0 for side in sides], 0) | np.all([side <= 0 for side in sides], 0)
    return mask.reshape(size)


@pytest.mark.parametrize("size", [(120, 120), (90, 160), (200, 70), (33, 31)])
def test_silhouette_equals_projected_triangles(hand, size):
    vertices, faces = hand
    height, width = size
    focal = 1.1 * min(size) * 0.5 / 0.2
    # Different focal lengths, and a principal point away from the centre.
    K = torch.tensor([[focal, 0, 0.45 * width], [0, 1.2 * focal, 0.55 * height], [0, 0, 1.0]])
    placed = vertices + torch.tensor([0.02, -0.01, 0.5])
    alpha = render_mesh(placed, faces, K, size, PLAIN)[..., 3] > 0
    points = perspective_project(placed[None], K[None])[0].numpy()
    expected = covered_centres(points, faces.numpy(), size)
    assert expected.sum() > 0.05 * height * width and not expected.all()
    # Centres that lie on an edge to float32's precision may fall to either side.
    assert np.logical_xor(alpha, expected).sum() <= 2


def test_supersampled_silhouette_stays_in_place(hand):
    vertices, faces = hand
    K = torch.tensor([[300.0, 0, 60], [0, 300.0, 45], [0, 0, 1]])
    placed = vertices + torch.tensor([0.0, 0, 0.6])
    size = (90, 120)
    coarse, fine = (
        render_mesh(placed, faces, K, size, Style(supersample=n))[..., 3] / 255.0 for n in (1, 4)
    )
    grid = np.mgrid[:90, :120]
    centre = [(grid * alpha).sum((1, 2)) / alpha.sum() for alpha in (coarse, fine)]
    np.testing.assert_allclose(centre[0], centre[1], atol=0.05)
    assert abs(coarse.sum() - fine.sum()) < 0.02 * fine.sum()


def test_pixel_centres_are_at_integers():
    """A patch from -0.5 to about 2.5 pixels covers exactly the pixels 0, 1 and 2."""
    corners = torch.tensor([[-0.5, -0.5], [2.5, -0.5], [2.5, 2.4], [-0.5, 2.4]])
    points = torch.cat((corners, torch.ones(4, 1)), 1)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    fragments = rasterize(points, faces, (5, 7))
    assert sorted(fragments.pixel.tolist()) == [7 * y + x for y in range(3) for x in range(3)]
    # Interpolated screen coordinates are the pixel's own.
    xy = interpolate(points[:, :2], faces, fragments)
    expected = torch.stack((fragments.pixel % 7, fragments.pixel // 7), 1).float()
    torch.testing.assert_close(xy, expected, atol=1e-5, rtol=0)


def test_nearer_surface_wins_and_weights_follow_depth():
    """A plane that recedes: the depth at a pixel is that of the ray, not of the screen's middle."""
    near, far = 1.0, 3.0
    world = torch.tensor([[-1, -1, near], [1, -1, far], [1, 1, far], [-1, 1, near]])
    K = torch.tensor([[20.0, 0, 32], [0, 20, 24], [0, 0, 1]])
    points = torch.cat((perspective_project(world[None], K[None])[0], world[:, 2:]), 1)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    behind = world + torch.tensor([0, 0, 5.0])
    both = torch.cat((perspective_project(behind[None], K[None])[0], behind[:, 2:]), 1)
    points, faces = torch.cat((points, both)), torch.cat((faces, faces + 4))
    fragments = rasterize(points, faces, (48, 64))
    depth = interpolate(points[:, 2:], faces, fragments)[:, 0]
    x = (fragments.pixel % 64 - 32) / 20
    front = fragments.face < 2
    assert front.any()
    # The plane is z = 2 + X with X = x z, so z = 2 / (1 - x).
    torch.testing.assert_close(depth[front], 2 / (1 - x[front]), atol=1e-3, rtol=0)
    y = (fragments.pixel // 64 - 24) / 20
    hits_front = ((2 / (1 - x) * y).abs() < 0.98) & ((2 * x / (1 - x)).abs() < 0.98)
    assert front[hits_front].all()


def test_out_of_sight_leaves_the_picture_alone(hand):
    vertices, faces = hand
    K = torch.tensor([[100.0, 0, 32], [0, 100, 32], [0, 0, 1]])
    image = np.full((64, 64, 3), 77, np.uint8)
    for shift in ((9.0, 0, 0.5), (0, 0, -0.5)):
        placed = vertices + torch.tensor(shift)
        np.testing.assert_array_equal(overlay_mesh(image, placed, faces, K), image)


def test_weak_perspective_overlay_covers_the_projected_vertices(hand):
    vertices, faces = hand
    camera = torch.tensor([6.0, 0.02, -0.015])
    image = np.zeros((160, 160, 3), np.uint8)
    drawn = overlay_weak_perspective(image, vertices, faces, camera, PLAIN, opacity=1.0)
    drawn = drawn.any(-1)
    xy = weak_perspective_project(vertices[None], camera[None])[0]
    points = normalized_to_pixels(xy, 160).numpy()
    expected = covered_centres(points, faces.numpy(), (160, 160))
    # What is left of perspective moves the outline by less than a pixel.
    kernel = np.ones((3, 3), np.uint8)
    assert (cv2.dilate(drawn.astype(np.uint8), kernel)[expected] > 0).all()
    assert (cv2.dilate(expected.astype(np.uint8), kernel)[drawn] > 0).all()


def test_weak_intrinsics_agree_with_weak_projection(hand):
    from handzoo.hands.camera import weak_to_translation

    vertices, _ = hand
    camera = torch.tensor([[7.0, -0.01, 0.03]])
    K = weak_perspective_intrinsics(224)[None]
    placed = vertices[None] + weak_to_translation(camera, K, 224)[:, None]
    found = perspective_project(placed, K)
    expected = normalized_to_pixels(weak_perspective_project(vertices[None], camera), 224)
    torch.testing.assert_close(found, expected, atol=0.8, rtol=0)


def test_normals_of_a_sphere():
    import trimesh

    sphere = trimesh.creation.icosphere(subdivisions=3)
    vertices = torch.tensor(np.array(sphere.vertices)).float()
    normals = vertex_normals(vertices, torch.tensor(np.array(sphere.faces)))
    assert (normals * vertices).sum(1).min() > 0.999


def test_a_mirrored_hand_needs_mirrored_faces(hand):
    """Mirrored geometry with turned faces is the mirror picture, up to the light's direction."""
    vertices, faces = hand
    mirrored = vertices * torch.tensor([-1.0, 1, 1])
    right = render_view(vertices, faces, 96, style=PLAIN)
    left = render_view(mirrored, mirrored_faces(faces), 96, style=PLAIN)
    inside_out = render_view(mirrored, faces, 96, style=PLAIN)
    white = (right == 255).all(-1)
    np.testing.assert_array_equal(white[:, ::-1], (left == 255).all(-1))
    # Seen from outside a hand is lit; inside out it is as dark as the inside of the wrist.
    assert left[~white[:, ::-1]].mean() > 1.4 * inside_out[~white[:, ::-1]].mean()
    assert abs(left[~white[:, ::-1]].mean() - right[~white].mean()) < 25


def test_side_view_turns_depth_to_the_right():
    """A bump that points away from the viewer is seen on the right from the right-hand side."""
    import trimesh

    box = trimesh.creation.box((0.02, 0.02, 0.02))
    far = trimesh.creation.box((0.01, 0.01, 0.1))
    far.apply_translation((0, 0.02, 0.05))
    both = trimesh.util.concatenate((box, far))
    picture = side_view(np.array(both.vertices), np.array(both.faces), 100)
    rows, columns = np.nonzero((picture != 255).any(-1))
    lower = columns[rows > rows.mean()]
    upper = columns[rows < rows.min() + 8]
    assert lower.mean() > upper.mean() + 10


def test_composite_mixes_by_coverage():
    layer = np.zeros((1, 3, 4), np.uint8)
    layer[..., :3] = 200
    layer[0, :, 3] = (0, 128, 255)
    mixed = composite(layer, np.full((1, 3, 3), 100, np.uint8))
    assert mixed[0, :, 0].tolist() == [100, 150, 200]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_draws_the_same_picture(hand):
    vertices, faces = hand
    camera = torch.tensor([6.0, 0.02, -0.015])
    image = np.full((150, 150, 3), 60, np.uint8)
    on_cpu = overlay_weak_perspective(image, vertices, faces, camera)
    on_cuda = overlay_weak_perspective(image, vertices.cuda(), faces.cuda(), camera.cuda())
    assert (np.abs(on_cpu.astype(int) - on_cuda.astype(int)).max(-1) > 8).mean() < 0.005
