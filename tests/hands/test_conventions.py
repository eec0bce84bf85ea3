"""The tables of joints agree with each other and with what the data sets publish."""

from handzoo.hands import conventions as c


def test_joints_run_from_base_to_tip():
    assert len(c.JOINT_NAMES) == len(c.JOINT_PARENTS) == c.NUM_JOINTS
    for finger, tip in zip(c.FINGERS, c.TIP_JOINTS, strict=True):
        assert c.JOINT_NAMES[tip] == f"{finger}_tip"
        chain = [tip]
        while c.JOINT_PARENTS[chain[-1]] != c.WRIST:
            chain.append(c.JOINT_PARENTS[chain[-1]])
        assert chain == [tip, tip - 1, tip - 2, tip - 3]


def test_mano_order_maps_onto_ours_name_by_name():
    """MANO names its joints finger + number from the base; ours are cmc/mcp/pip/... in order."""
    assert sorted(c.MANO_TO_JOINTS) == list(range(21))
    names = list(c.MANO_JOINT_NAMES) + [f"{finger}4" for finger in c.FINGERS]
    for joint in range(1, c.NUM_JOINTS):
        finger, depth = c.FINGERS[c.FINGER_OF_JOINT[joint]], (joint - 1) % 4 + 1
        assert names[c.MANO_TO_JOINTS[joint]] == f"{finger}{depth}"
    assert c.MANO_TO_JOINTS[c.WRIST] == 0


def test_mano_tree_is_the_same_tree():
    for child, parent in enumerate(c.MANO_PARENTS):
        if parent < 0:
            continue
        ours = c.MANO_TO_JOINTS.index(child)
        assert c.MANO_TO_JOINTS[c.JOINT_PARENTS[ours]] == parent


def test_rhd_fingers_are_reversed():
    """RHD: 0 wrist, then tip to palm in fours."""
    for finger in range(5):
        ours = list(range(1 + 4 * finger, 5 + 4 * finger))
        assert [c.RHD_TO_JOINTS[joint] for joint in ours] == ours[::-1]


def test_tip_sets_name_five_vertices_each():
    for vertices in c.TIP_VERTICES.values():
        assert len(set(vertices)) == 5 and max(vertices) < c.NUM_VERTICES
    assert c.TIP_VERTICES["metro"][2] == 445
