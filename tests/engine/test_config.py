"""Reading configs strictly."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config

from handzoo.engine.compat import package_bases, package_configs
from handzoo.engine.config import config_text, load_config, resolve_config
from handzoo.engine.options import apply_options, parse_options, parse_value
from handzoo.engine.schema import check_config
from handzoo.errors import ConfigError
from handzoo.zoo.index import configs_root

SHIPPED = sorted(
    path for path in configs_root().glob("*/*.py") if not path.parent.name.startswith("_")
)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_shipped_config_names_only_what_exists(path):
    cfg = load_config(path)
    assert cfg.model_name == f"{path.parent.name}_{path.stem}"


def test_name_file_and_relative_path_find_the_same_config(tmp_path, monkeypatch):
    path = configs_root() / "cliphand" / "s24_freihand.py"
    assert resolve_config("cliphand_s24_freihand") == path
    assert resolve_config(str(path)) == path
    monkeypatch.chdir(tmp_path)
    assert resolve_config("configs/cliphand/s24_freihand.py") == path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cliphand_s24_freihnd", "Did you mean 'cliphand_s24_freihand'"),
        ("configs/cliphand/s24_freihan.py", "no such config file.*s24_freihand"),
    ],
)
def test_unknown_config_suggests_the_nearest(name, words):
    with pytest.raises(ConfigError, match=words):
        resolve_config(name)


def test_config_that_raises_names_file_and_cause(tmp_path):
    (tmp_path / "bad.py").write_text("model = dict(type=undefined_name)\n")
    with pytest.raises(ConfigError, match="bad.py: cannot be read: NameError"):
        load_config(tmp_path / "bad.py")


def test_foreign_scope_is_an_error(tmp_path):
    (tmp_path / "c.py").write_text("default_scope = 'mmpose'\n")
    with pytest.raises(ConfigError, match="default_scope: is 'mmpose'"):
        load_config(tmp_path / "c.py")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"modle": {}}, "modle: unknown key at the top level.*Did you mean 'model'"),
        ({"model": {"type": "ToyEstimatr"}}, "model.type: .*Did you mean 'ToyEstimator'"),
        (
            {"model": {"type": "ToyEstimator", "widht": 3}},
            "model.widht: ToyEstimator has no argument.*Did you mean 'width'",
        ),
        ({"train_dataloader": {"batchsize": 3}}, "train_dataloader.batchsize: .*'batch_size'"),
        (
            {"train_dataloader": {"dataset": {"type": "ToyDatset"}}},
            "train_dataloader.dataset.type: .*'ToyDataset'",
        ),
        (
            {"optim_wrapper": {"optimizer": {"type": "AdmW"}}},
            "optim_wrapper.optimizer.type: .*'AdamW'",
        ),
        (
            {"optim_wrapper": {"optimizer": {"type": "AdamW", "learning_rate": 1}}},
            "optim_wrapper.optimizer.learning_rate: AdamW has no argument",
        ),
        (
            {"param_scheduler": [{"type": "MultiStepLR", "milestone": [1]}]},
            "param_scheduler.0.milestone: .*'milestones'",
        ),
        (
            {"default_hooks": {"stop": {"type": "FiniteGuardHook", "patiense": 2}}},
            "default_hooks.stop.patiense: .*'patience'",
        ),
        ({"randomness": {"sed": 1}}, "randomness.sed: .*'seed'"),
        ({"train_cfg": {"max_epoch": 3}}, "train_cfg.max_epoch: .*'max_epochs'"),
        ({"val_evaluator": [{"type": "ToyMetrc"}]}, "val_evaluator.0.type: .*'ToyMetric'"),
    ],
)
def test_typos_are_found_before_anything_is_built(make_config, change, words):
    cfg = make_config(**change)
    with pytest.raises(ConfigError, match=words):
        check_config(cfg)


def test_private_names_and_known_variables_are_allowed(make_config):
    check_config(make_config(_anything={"type": "Nothing"}, train_pipeline=[{"type": "Nothing"}]))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 1e-3),
        ("true", True),
        ("None", None),
        ("ViT-B-32", "ViT-B-32"),
        ("1,2,3", [1, 2, 3]),
        ("a,b", ["a", "b"]),
        ("[1, [2, 'x']]", [1, [2, "x"]]),
        ("(1, 2)", (1, 2)),
        ("{'max_norm': 1.0}", {"max_norm": 1.0}),
        ("/data/with=sign", "/data/with=sign"),
    ],
)
def test_values_read_as_written(text, value):
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


@pytest.mark.parametrize("item", ["lr", "=3", "a=[1,2", "a={'b':", "a='open"])
def test_unreadable_options_are_refused(item):
    with pytest.raises(ConfigError, match="--cfg-options"):
        parse_options([item])


def test_options_reach_values_arguments_and_list_elements(make_config):
    cfg = make_config()
    options = [
        "train_dataloader.batch_size=2",
        "model.width=5",  # an argument that the config does not set
        "param_scheduler.1.gamma=0.5",
        "optim_wrapper.clip_grad={'max_norm': 1.0}",
        "load_from=x.pth",
        "default_hooks.guard=None",
    ]
    apply_options(cfg, parse_options(options))
    assert (cfg.train_dataloader.batch_size, cfg.model.width) == (2, 5)
    assert cfg.param_scheduler[1].gamma == 0.5
    assert cfg.optim_wrapper.clip_grad.max_norm == 1.0
    assert cfg.load_from == "x.pth" and cfg.default_hooks.guard is None
    check_config(cfg)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("optim_wraper.optimizer.lr=1", "no 'optim_wraper'.*Did you mean 'optim_wrapper'"),
        ("optim_wrapper.optimizer.lrr=1", "no 'lrr' in optim_wrapper.optimizer.*'lr'"),
        ("model.widht=5", "no 'widht' in model.*Did you mean 'width'"),
        ("param_scheduler.7.gamma=1", "must be an index below 2"),
        ("train_cfg.max_epochs.x=1", "train_cfg.max_epochs is 3, which has no parts"),
        ("model=3", "model is a mapping"),
    ],
)
def test_unknown_option_paths_are_refused(make_config, option, words):
    with pytest.raises(ConfigError, match=words):
        apply_options(make_config(), parse_options([option]))


def test_variables_of_the_file_cannot_be_overridden_without_effect(make_config):
    cfg = make_config(data_root="x")
    with pytest.raises(ConfigError, match="variable of the config file"):
        apply_options(cfg, {"data_root": "y"})


def test_bases_of_another_package_are_found_without_pkg_resources(tmp_path):
    (tmp_path / "mine.py").write_text("_base_ = 'handzoo::_base_/default_runtime.py'\n_x = 1\n")
    cfg = load_config(tmp_path / "mine.py")
    assert cfg.default_hooks.checkpoint.type == "HandCheckpointHook"
    assert "_scope_" not in str(cfg)
    (tmp_path / "wrong.py").write_text("_base_ = 'handzoo::_base_/nothing.py'\n")
    with pytest.raises(ConfigError, match="names .*nothing.py, which is not there"):
        load_config(tmp_path / "wrong.py")


def test_resolver_is_put_back_and_unknown_packages_are_named():
    before = Config.__dict__["_get_cfg_path"]
    with package_bases():
        assert Config.__dict__["_get_cfg_path"] is not before
    assert Config.__dict__["_get_cfg_path"] is before
    with pytest.raises(ConfigError, match="not_a_package:: is not an installed package"):
        package_configs("not_a_package")


def test_dumped_config_reads_back_the_same(tmp_path):
    cfg = load_config("cliphand_s24_freihand")
    (tmp_path / "dump.py").write_text(config_text(cfg))
    again = load_config(tmp_path / "dump.py")
    assert again.to_dict() == cfg.to_dict()


def test_failing_formatter_does_not_stop_a_run(make_config, monkeypatch):
    def fail(self):
        raise TypeError("yapf changed its interface")

    monkeypatch.setattr(Config, "pretty_text", property(fail))
    assert "ToyEstimator" in config_text(make_config())


def test_every_shipped_config_is_in_a_folder_of_its_method():
    assert SHIPPED and all(Path(path).parent.parent == configs_root() for path in SHIPPED)
