"""Resolution, isolation and states of plugins."""

import sys

import pytest
from plugin_files import write_plugin

from handzoo.errors import ConfigError, PluginError
from handzoo.plugins import PluginManager, PluginState
from handzoo.plugins.cli import doctor, list_plugins


def test_code_is_imported_only_when_its_class_is_asked_for(isolated):
    source = write_plugin(isolated, "lazy_lab")
    manager = PluginManager([str(source)])
    assert manager.plugins["lazy_lab"].state is PluginState.OK
    assert manager.provided_names("mesh_head") == ["lazy_lab/Thing", "Thing"]
    assert "lazy_lab" not in sys.modules and manager.used() == []
    thing = manager.resolve("mesh_head", "lazy_lab/Thing")
    assert thing.__module__ == "lazy_lab.code" and "lazy_lab" in sys.modules
    assert manager.resolve("mesh_head", "Thing") is thing
    assert manager.used() == [{"name": "lazy_lab", "version": "1.2", "distribution": ""}]
    assert manager.resolve("neck", "Thing") is None


def test_a_later_run_does_not_name_the_plugins_of_an_earlier_one(isolated):
    sources = [str(write_plugin(isolated, name)) for name in ("former_lab", "later_lab")]
    manager = PluginManager(sources)
    manager.resolve("mesh_head", "former_lab/Thing")
    begin = len(manager.uses)
    assert manager.used(begin) == []
    manager.resolve("mesh_head", "later_lab/Thing")
    assert [row["name"] for row in manager.used(begin)] == ["later_lab"]
    manager.resolve("mesh_head", "former_lab/Thing")  # imported long ago, and used again
    assert [row["name"] for row in manager.used(begin)] == ["former_lab", "later_lab"]


def test_a_bare_name_of_two_plugins_is_ambiguous(isolated):
    sources = [str(write_plugin(isolated, name)) for name in ("first_lab", "second_lab")]
    manager = PluginManager(sources)
    with pytest.raises(ConfigError, match="'first_lab/Thing' or 'second_lab/Thing'"):
        manager.resolve("mesh_head", "Thing")
    assert manager.resolve("mesh_head", "second_lab/Thing").__module__ == "second_lab.code"


def test_an_exploding_plugin_hurts_only_those_who_ask_for_it(isolated):
    bad = write_plugin(isolated, "boom_lab", code="raise RuntimeError('boom')", provided="Bad")
    good = write_plugin(isolated, "calm_lab", provided="Good", code="class Good:\n    pass\n")
    manager = PluginManager([str(bad), str(good)])
    with pytest.raises(PluginError, match="boom_lab.*failed") as error:
        manager.resolve("mesh_head", "Bad")
    assert isinstance(error.value.__cause__, RuntimeError)
    assert manager.plugins["boom_lab"].state is PluginState.FAILED
    assert "RuntimeError: boom" in manager.plugins["boom_lab"].traceback
    assert manager.resolve("mesh_head", "Good").__name__ == "Good"


def test_a_plugin_that_exits_does_not_take_the_run_with_it(isolated):
    source = write_plugin(isolated, "exit_lab", code="import sys\nsys.exit(3)\n")
    with pytest.raises(PluginError, match="SystemExit"):
        PluginManager([str(source)]).resolve("mesh_head", "Thing")


def test_states_of_incompatible_shadowed_and_disabled_plugins(isolated, monkeypatch):
    old = write_plugin(isolated, "old_lab", requires="<0.1", provided="Old")
    same = write_plugin(isolated / "a", "twin_lab")
    other = write_plugin(isolated / "b", "twin_lab")
    off = write_plugin(isolated, "off_lab", provided="Off")
    monkeypatch.setenv("HANDZOO_DISABLE_PLUGINS", "off_lab")
    manager = PluginManager([str(path) for path in (old, same, other, off, same)])
    states = {plugin.name: plugin.state.value for plugin in manager.plugins.values()}
    assert states == {"old_lab": "incompatible", "twin_lab": "ok", "off_lab": "disabled"}
    assert [plugin.state.value for plugin in manager.shadowed] == ["shadowed"]
    with pytest.raises(PluginError, match="needs handzoo <0.1"):
        manager.resolve("mesh_head", "Old")
    with pytest.raises(PluginError, match="HANDZOO_DISABLE_PLUGINS"):
        manager.resolve("mesh_head", "off_lab/Off")


def test_all_plugins_can_be_disabled(isolated, monkeypatch):
    source = write_plugin(isolated, "any_lab")
    monkeypatch.setenv("HANDZOO_DISABLE_PLUGINS", "1")
    assert PluginManager([str(source)]).plugins["any_lab"].state is PluginState.DISABLED


def test_wrong_names_say_what_there_is(isolated):
    manager = PluginManager([str(write_plugin(isolated, "near_lab"))])
    with pytest.raises(PluginError, match="Did you mean 'near_lab'"):
        manager.resolve("mesh_head", "naer_lab/Thing")
    with pytest.raises(ConfigError, match="no mesh_head called 'Thong'.*Did you mean 'Thing'"):
        manager.resolve("mesh_head", "near_lab/Thong")
    with pytest.raises(PluginError, match="no plugin at 'nowhere'"):
        manager.activate(["nowhere"])


def test_sources_from_the_environment_are_reported_not_raised(isolated, monkeypatch):
    source = write_plugin(isolated, "env_lab")
    monkeypatch.setenv("HANDZOO_PLUGINS", f"{source},gone_lab")
    manager = PluginManager()
    assert manager.plugins["env_lab"].usable
    assert manager.plugins["gone_lab"].state is PluginState.FAILED


def test_a_broken_manifest_is_a_failed_plugin(isolated):
    source = write_plugin(isolated, "typo_lab")
    (source / "handzoo.toml").write_text("manifest = 1\nname = 5\n")
    plugin = PluginManager([str(source)]).plugins["typo_lab"]
    assert plugin.state is PluginState.FAILED and "name must be a str" in plugin.reason


def test_the_core_cannot_be_shadowed(isolated, monkeypatch):
    from handzoo import plugins
    from handzoo.registry import HandRegistry

    source = write_plugin(isolated, "greedy_lab", part="mesh_head")
    manager = PluginManager([str(source)])
    monkeypatch.setattr(plugins, "plugin_manager", lambda: manager)
    registry = HandRegistry("mesh_head")

    @registry.register_module()
    class Thing:
        pass

    assert registry.get("Thing") is Thing
    assert registry.get("greedy_lab/Thing") is not Thing
    with pytest.raises(ConfigError, match=r"Plugins that were asked: greedy_lab \(ok\)"):
        registry.get("Thng")


def test_list_and_doctor_tell_what_is_wrong(isolated, capsys):
    bad = write_plugin(isolated, "sick_lab", code="import no_such_module\n", provided="Bad")
    good = write_plugin(isolated, "fit_lab", provided="Good", code="class Good:\n    pass\n")
    manager = PluginManager([str(bad), str(good)])
    assert list_plugins(manager, as_json=True) == 0
    assert '"state": "ok"' in capsys.readouterr().out
    assert doctor(manager, ["fit_lab"]) == 0
    assert doctor(manager) == 1
    printed = capsys.readouterr().out
    assert "ModuleNotFoundError" in printed and "sick_lab 1.2" in printed


def test_a_wrong_object_names_the_manifest_and_what_is_near(isolated):
    missing = write_plugin(isolated, "attr_lab", code="class Thing:\n    pass\n", provided="Thong")
    with pytest.raises(PluginError, match="handzoo.toml.*no 'Thong'.*Did you mean 'Thing'"):
        PluginManager([str(missing)]).resolve("mesh_head", "Thong")
    moved = write_plugin(isolated, "module_lab")
    (moved / "code.py").rename(moved / "cod.py")
    with pytest.raises(PluginError, match="handzoo.toml names the module 'module_lab.code'"):
        PluginManager([str(moved)]).resolve("mesh_head", "Thing")


def test_a_named_copy_comes_before_an_installed_package_of_the_same_name(isolated, monkeypatch):
    installed = write_plugin(isolated / "site", "copied_lab", code="class Thing:\n    site = 1\n")
    named = write_plugin(isolated / "mine", "copied_lab", code="class Thing:\n    mine = 1\n")
    monkeypatch.syspath_prepend(str(installed.parent))
    thing = PluginManager([str(named)]).resolve("mesh_head", "Thing")
    assert hasattr(thing, "mine")
    # The other one cannot be had in this process any more, and is not silently replaced.
    with pytest.raises(PluginError, match="has imported another one from"):
        PluginManager([str(installed)]).resolve("mesh_head", "Thing")


def test_a_plugin_found_twice_keeps_what_only_its_distribution_knows(isolated, monkeypatch):
    from handzoo.plugins import manager as module
    from handzoo.plugins.discovery import plugin_from_manifest

    source = write_plugin(isolated, "both_lab")
    manifest = source / "handzoo.toml"
    manifest.write_text(manifest.read_text().replace('version = "1.2"\n', ""))
    found = plugin_from_manifest(manifest, "both-lab 3.4", source.parent)
    found.distribution, found.version = "both-lab", "3.4"
    monkeypatch.setattr(module, "installed_plugins", lambda: iter([found]))
    manager = PluginManager([str(source)])
    assert manager.shadowed == []
    plugin = manager.plugins["both_lab"]
    assert (plugin.distribution, plugin.version) == ("both-lab", "3.4")


def test_errors_of_plugins_name_the_key_in_the_config(isolated, monkeypatch):
    from handzoo import plugins
    from handzoo.registry import HandRegistry, key_path

    manager = PluginManager([str(write_plugin(isolated, "place_lab"))])
    monkeypatch.setattr(plugins, "plugin_manager", lambda: manager)
    with key_path("model", "mesh_head"), pytest.raises(ConfigError, match="^model.mesh_head.type:"):
        HandRegistry("mesh_head").get("place_lab/Thong")


def test_doctor_knows_the_cores_names_broken_models_and_misspelt_switches(
    isolated, monkeypatch, capsys
):
    monkeypatch.setenv("HANDZOO_DISABLE_PLUGINS", "clash_lob")
    source = write_plugin(isolated, "clash_lab", provided="MTED", code="class MTED:\n    pass\n")
    with (source / "handzoo.toml").open("r+") as file:
        text = file.read()
        file.seek(0)
        file.write('metafile = "metafile.yml"\n' + text)
    (source / "metafile.yml").write_text("Collection: {Name: Lab}\nModels: 3\n")
    assert doctor(PluginManager([str(source)])) == 1
    printed = capsys.readouterr().out
    assert "write 'clash_lab/MTED'" in printed
    assert "models are left out" in printed and "not a model index" in printed
    assert "'clash_lob', which no plugin is called. Did you mean 'clash_lab'" in printed
