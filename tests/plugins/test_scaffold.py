"""What `handzoo plugins new` writes is a plugin that works."""

import pytest
import torch

from handzoo import plugins
from handzoo.engine.config import load_config
from handzoo.engine.train import train
from handzoo.errors import PluginError
from handzoo.plugins import PluginManager, PluginState
from handzoo.plugins.scaffold import compatible_range, create_plugin, scaffold_parts
from handzoo.registry import ESTIMATORS
from handzoo.structures import HandDataSample, empty_annotation
from handzoo.testing import conformance_checks
from handzoo.testing.drivers import DRIVERS

MODEL_PARTS = sorted(set(scaffold_parts()) & set(DRIVERS))
OTHER_PARTS = sorted(set(scaffold_parts()) - set(DRIVERS))


@pytest.mark.parametrize("part", scaffold_parts())
def test_every_part_passes_the_conformance_kit(isolated, monkeypatch, part):
    name = f"fresh_{part}"
    root = create_plugin(name, part=part, parent=isolated)
    manager = PluginManager([str(root)])
    assert manager.plugins[name].state is PluginState.OK, manager.plugins[name].reason
    monkeypatch.setattr(plugins, "plugin_manager", lambda: manager)
    (provided,) = manager.plugins[name].provides
    for check in conformance_checks(part):
        check(dict(type=f"{name}/{provided.name}"))


@pytest.mark.parametrize("part", MODEL_PARTS)
def test_every_new_model_makes_a_training_step(isolated, monkeypatch, part):
    """The checks run a part alone; this is the part among its neighbours."""
    name = f"trained_{part}"
    manager = PluginManager([str(create_plugin(name, part=part, parent=isolated))])
    monkeypatch.setattr(plugins, "plugin_manager", lambda: manager)
    cfg = load_config(f"{name}/{name}_tiny_sample")
    (provided,) = manager.plugins[name].provides
    model = ESTIMATORS.build(cfg.model, key="model")
    samples = [HandDataSample(metainfo=dict(prompt=""), **empty_annotation()) for _ in range(2)]
    losses = model(torch.rand(2, 3, 128, 128), samples, mode="loss")  # its crop
    sum(losses.values()).backward()
    own = [one for one in model.modules() if type(one) is manager.resolve(part, provided.name)]
    assert own, "the config does not use the plugin's class"
    if any(True for _ in own[0].parameters()):
        assert any(p.grad is not None for p in own[0].parameters())


@pytest.mark.parametrize("part", OTHER_PARTS)
def test_a_run_of_every_other_new_part_uses_it(isolated, monkeypatch, part):
    """One step and a validation, with the class counted wherever it is called."""
    name = f"run_{part}"
    manager = PluginManager([str(create_plugin(name, part=part, parent=isolated))])
    monkeypatch.setattr(plugins, "plugin_manager", lambda: manager)
    (provided,) = manager.plugins[name].provides
    method = {"transform": "__call__", "metric": "process", "hook": "after_train_iter"}[part]
    calls = []
    cls = manager.resolve(part, provided.name)
    original = getattr(cls, method)

    def counted(self, *args, **kwargs):
        calls.append(method)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(cls, method, counted)
    options = {
        "train_dataloader.batch_size": 2, "train_dataloader.num_workers": 0,
        "val_dataloader.num_workers": 0, "train_dataloader.persistent_workers": False,
        "val_dataloader.persistent_workers": False, "val_dataloader.num_batch_per_epoch": 1,
        "model.guidance": None, "default_hooks.visualization": None,
    }  # fmt: skip
    cfg = load_config(f"{name}/{name}_tiny_sample", options)
    train(cfg, work_dir=isolated / "work", max_iters=1)
    assert calls


def test_files_of_a_new_plugin(tmp_path):
    root = create_plugin("my-head", parent=tmp_path)
    written = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert written == {
        "pyproject.toml",
        "README.md",
        "my_head/__init__.py",
        "my_head/handzoo.toml",
        "my_head/mesh_head.py",
        "my_head/configs/tiny_sample.py",
        "my_head/configs/metafile.yml",
        "tests/test_my_head.py",
    }
    for path in root.rglob("*.py"):
        compile(path.read_text(), str(path), "exec")
    assert "${" not in "".join(path.read_text() for path in root.rglob("*") if path.is_file())
    assert [path.name for path in tmp_path.iterdir()] == ["my-head"]


def test_mistakes_are_named_and_nothing_is_overwritten(tmp_path):
    with pytest.raises(PluginError, match="Did you mean 'mesh_head'"):
        create_plugin("lab", part="meshhead", parent=tmp_path)
    with pytest.raises(PluginError, match="cannot name a plugin"):
        create_plugin("My Head", parent=tmp_path)
    with pytest.raises(PluginError, match="How about 'my_head'"):
        create_plugin("MyHead", parent=tmp_path)
    create_plugin("lab", parent=tmp_path)
    with pytest.raises(PluginError, match="there already"):
        create_plugin("lab", parent=tmp_path)


def test_range_ends_at_the_next_minor_release():
    assert compatible_range("0.1.0") == ">=0.1,<0.2"
    assert compatible_range("1.12.3") == ">=1.12,<1.13"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("class", "belongs to Python"),
        ("json", "belongs to Python"),
        ("torch", "is there already"),
        ("handzoo", "is there already"),
        ("handzoo-plugins", "is there already"),
        ("temporal", "there is one of that name already"),
    ],
)
def test_names_that_would_hide_something_are_refused(tmp_path, name, words):
    with pytest.raises(PluginError, match=words):
        create_plugin(name, parent=tmp_path)
    assert list(tmp_path.iterdir()) == []
