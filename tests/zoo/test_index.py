"""The model index."""

from __future__ import annotations

from pathlib import Path

import pytest

import handzoo
from handzoo.errors import ConfigError
from handzoo.zoo import index
from handzoo.zoo.index import (
    configs_root,
    entries,
    list_models,
    matches,
    natural_key,
    read_metafile,
)

METAFILE = """
Collection: {Name: Demo, Paper: {Title: A paper, URL: https://example.org, Year: 2024}}
Models:
  - Name: demo_a
    Config: a.py
    Metadata: {Backbone: ResNet50, Parameters (M): 1.0}
    Data: FreiHAND
    Published: {PA-MPJPE: 6.0}
"""


@pytest.fixture
def metafile(tmp_path: Path) -> Path:
    (tmp_path / "a.py").write_text("model = dict()\n")
    path = tmp_path / "metafile.yml"
    path.write_text(METAFILE)
    return path


def test_every_shipped_config_is_in_a_metafile_and_every_folder_has_a_readme():
    listed = {Path(entry.config).resolve() for entry in entries() if not entry.plugin}
    for folder in configs_root().iterdir():
        if folder.name.startswith("_") or not folder.is_dir():
            continue
        if not (folder / "metafile.yml").is_file():
            pytest.fail(f"{folder.name} has no metafile.yml")
        assert (folder / "README.md").is_file(), folder
        for config in folder.glob("*.py"):
            assert config.resolve() in listed, config


def test_published_figures_are_the_papers():
    by_name = {entry.name: entry for entry in entries()}
    s24, s12 = by_name["cliphand_s24_freihand"], by_name["cliphand_s12_freihand"]
    assert (s24.published["PA-MPJPE"], s24.published["F@15"]) == (6.3, 0.984)
    assert (s12.published["PA-MPJPE"], s12.published["F@15"]) == (7.0, 0.979)
    rows = [7.24, 7.06, 7.13, 6.86, 6.74, 6.58, 6.32]
    names = [f"cliphand_s24_table5_{row}_freihand" for row in "abcdefg"]
    assert [by_name[name].published["PA-MPJPE"] for name in names] == rows


def test_names_come_in_natural_order_and_filters_combine():
    assert sorted(["m_s104", "m_s12", "m_a"], key=natural_key) == ["m_a", "m_s12", "m_s104"]
    names = list_models()
    assert names == sorted(names, key=natural_key)
    assert list_models("cliphand_s12*") == ["cliphand_s12_freihand"]
    assert list_models("cliphand*", exclude=["*table5*", "*tiny*"]) == [
        "cliphand_s12_freihand",
        "cliphand_s24_freihand",
        "cliphand_s24_rhd",
    ]
    on_rhd = ["cliphand_s24_rhd", "fastmetro_l_h64_rhd", "metro_h64_rhd"]
    assert list_models(dataset="rhd") == on_rhd
    assert list_models(method="cliphand", backbone="pat-s12") == ["cliphand_s12_freihand"]
    assert list_models("*", dataset="nothing") == []


def test_public_functions_are_reached_from_the_package():
    assert handzoo.list_models("cliphand_s12*") == ["cliphand_s12_freihand"]
    cfg = handzoo.get_config("cliphand_s12_freihand", train_dataloader__batch_size=3)
    assert cfg.train_dataloader.batch_size == 3


@pytest.mark.parametrize(
    ("text", "pattern", "fits"),
    [
        ("CLIP-Hand", "cliphand", True),
        ("hrnet_w64", "hrnet*", True),
        ("PAT-S24", "s12", False),
        ("PAT-S24", "pat-s2?", True),
    ],
)
def test_matching_ignores_case_and_hyphens(text, pattern, fits):
    assert matches(text, pattern) is fits


def test_metafile_is_read(metafile):
    (entry,) = read_metafile(metafile)
    assert (entry.name, entry.method, entry.backbone) == ("demo_a", "Demo", "ResNet50")
    assert entry.published == {"PA-MPJPE": 6.0} and entry.measured == {}
    assert read_metafile(metafile, plugin="lab")[0].name == "lab/demo_a"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("Config: a.py", "Config: b.py", "demo_a: Config 'b.py' is not there"),
        ("    Data: FreiHAND\n", "", "demo_a: Data is missing"),
        ("Published:", "Publishd:", "unknown key 'Publishd'.*Did you mean 'Published'"),
        ("Name: Demo, ", "", "Collection needs a Name"),
        ("Models:", "Model:", "exactly the keys Collection and Models"),
        ("Collection: {", "Collection: {{", "cannot be read"),
    ],
)
def test_wrong_metafiles_name_file_and_key(metafile, old, new, words):
    metafile.write_text(METAFILE.replace(old, new))
    with pytest.raises(ConfigError, match=words) as caught:
        read_metafile(metafile)
    assert str(metafile) in str(caught.value)


def test_two_models_of_one_name_are_an_error(metafile, monkeypatch):
    for name in ("one", "two"):
        folder = metafile.parent / name
        folder.mkdir()
        (folder / "a.py").write_text("")
        (folder / "metafile.yml").write_text(METAFILE)
    monkeypatch.setattr(index, "configs_root", lambda: metafile.parent)
    with pytest.raises(ConfigError, match="'demo_a' is used twice"):
        entries()


@pytest.mark.parametrize(
    "content",
    [
        "nonsense",
        "Collection: {Name: Lab}\nModels: 3\n",
        "Collection: Lab Name\nModels:\n  - just words\n",
        METAFILE + METAFILE.split("Models:\n")[1],
    ],
    ids=["no mapping", "no list", "no rows", "a name twice"],
)
def test_broken_metafile_of_a_plugin_touches_nothing_else(metafile, monkeypatch, content):
    metafile.write_text(content)
    monkeypatch.setattr(index, "_plugin_metafiles", lambda: (("lab", metafile),))
    assert "cliphand_s24_freihand" in list_models()
    assert "lab" in index.broken_metafiles()


def test_a_model_is_found_without_reading_the_metafiles_of_other_plugins(metafile, monkeypatch):
    """What keeps a run's start quick however many plugins are installed."""
    untouched = metafile.parent / "other" / "metafile.yml"
    plugins = (("lab", metafile), ("other", untouched))
    monkeypatch.setattr(index, "_plugin_metafiles", lambda: plugins)
    read = []
    original = index.read_metafile

    def watch(path, plugin=""):
        read.append(plugin)
        return original(path, plugin)

    monkeypatch.setattr(index, "read_metafile", watch)
    config = index.find_config("lab/demo_a")
    assert config == metafile.parent / "a.py"
    assert index.name_of_config(config) == "lab/demo_a"
    assert index.find_config("cliphand_s24_freihand") is not None
    assert "other" not in read and "lab" in read


def test_readme_tables_are_those_of_the_metafiles(capsys):
    from handzoo.zoo.readme import main

    assert main(["--check"]) == 0, capsys.readouterr().out
