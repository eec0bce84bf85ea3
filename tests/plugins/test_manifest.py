"""Manifests: everything that is wrong is named with its file and key."""

from pathlib import Path

import pytest

from handzoo.errors import PluginError
from handzoo.plugins.manifest import Manifest, parse_manifest, read_manifest

GOOD = {"manifest": 1, "name": "lab", "handzoo": ">=0.1,<0.2", "licence": "MIT"}
ENTRY = {"part": "mesh_head", "name": "Head", "object": "lab.head:Head"}


def test_a_good_manifest_is_read():
    manifest = parse_manifest({**GOOD, "provides": [ENTRY]}, Path("lab/handzoo.toml"))
    assert manifest.provides[0].object == "lab.head:Head"
    assert manifest.fits("0.1.5") and not manifest.fits("0.2.0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"manifest": 2}, "manifest = 2, and this HandZoo reads manifest = 1"),
        ({"provide": []}, "unknown key 'provide'. Did you mean 'provides'"),
        ({"name": "handzoo"}, "other than 'handzoo'"),
        ({"name": 3}, "name must be a str"),
        ({"handzoo": "newest"}, "no version range"),
        ({"configs": "nowhere"}, "does not exist"),
        ({"provides": [{"part": "mesh_head"}]}, r"provides\[0\] needs exactly"),
        ({"provides": [{**ENTRY, "part": "mesh_haed"}]}, "Did you mean 'mesh_head'"),
        ({"provides": [{**ENTRY, "object": "lab.head.Head"}]}, "package.module:Class"),
        ({"provides": [ENTRY, ENTRY]}, "twice"),
    ],
)
def test_mistakes_are_named(change, message):
    with pytest.raises(PluginError, match=message):
        parse_manifest({**GOOD, **change}, Path("lab/handzoo.toml"))


@pytest.mark.parametrize("key", ["name", "handzoo", "licence"])
def test_required_keys(key):
    data = {name: value for name, value in GOOD.items() if name != key}
    with pytest.raises(PluginError, match=f"the key '{key}' is missing"):
        parse_manifest(data, Path("lab/handzoo.toml"))


def test_unreadable_files(tmp_path):
    with pytest.raises(PluginError, match="cannot be read"):
        read_manifest(tmp_path / "handzoo.toml")
    (tmp_path / "handzoo.toml").write_text("name = ")
    with pytest.raises(PluginError, match="not valid TOML"):
        read_manifest(tmp_path / "handzoo.toml")


def test_parts_of_manifests_are_the_registries():
    from handzoo.plugins.manifest import PARTS
    from handzoo.registry import REGISTRIES

    assert list(REGISTRIES) == list(PARTS)


@pytest.mark.parametrize(
    "text", [">=0.1,<0.2", ">=0.1", "<1", ">0.1.0", "<=0.1", " >= 0.1 , < 0.1.1", "~=0.1", "!=0.1"]
)
@pytest.mark.parametrize("version", ["0.1", "0.1.0", "0.1.1", "0.2.0", "1.0", "0.2.0rc1"])
def test_ranges_mean_what_packaging_says(tmp_path, text, version):
    """Plain ranges are compared without it, since its import takes longer than all the rest."""
    from packaging.specifiers import SpecifierSet

    manifest = Manifest(tmp_path, "lab", text, "Apache-2.0")
    assert manifest.fits(version) == SpecifierSet(text).contains(version, prereleases=True)
