"""Errors of the registries name the key path, the nearest name and what there is."""

import subprocess
import sys

import pytest
from torch import nn

from handzoo.errors import ConfigError, suggest
from handzoo.registry import HandRegistry, key_path


@pytest.fixture
def widgets():
    registry = HandRegistry("widget")

    @registry.register_module()
    class Gear(nn.Module):
        def __init__(self, teeth: int, ratio: float = 1.0, topology=None):
            super().__init__()
            self.teeth, self.ratio, self.topology = teeth, ratio, topology

    @registry.register_module()
    class BevelGear(Gear):
        def __init__(self, angle: float = 45.0, **kwargs):
            super().__init__(**kwargs)
            self.angle = angle

    return registry


def test_build_passes_context_only_to_those_who_take_it(widgets):
    gear = widgets.build(dict(type="Gear", teeth=8), topology="t", channels=3)
    assert (gear.teeth, gear.topology) == (8, "t")
    bevel = widgets.build(dict(type="BevelGear", teeth=8, topology="mine"), topology="t")
    assert (bevel.angle, bevel.topology) == (45.0, "mine")
    assert widgets.build(gear) is gear


def test_build_does_not_change_the_config(widgets):
    config = dict(type="Gear", teeth=8)
    widgets.build(config, topology="t")
    assert config == dict(type="Gear", teeth=8)


def test_unknown_type_names_path_and_neighbour(widgets):
    with key_path("model"), pytest.raises(ConfigError) as error:
        widgets.build(dict(type="gaer", teeth=8), key="drive")
    text = str(error.value)
    assert text.startswith("model.drive.type: no widget is registered as 'gaer'.")
    assert "Did you mean 'Gear'" in text and "BevelGear" in text


def test_unknown_and_missing_arguments_are_found_before_the_call(widgets):
    with pytest.raises(ConfigError, match=r"drive\.tooth: Gear has no argument 'tooth'.*'teeth'"):
        widgets.build(dict(type="Gear", tooth=8, teeth=8), key="drive")
    with pytest.raises(ConfigError, match=r"drive\.anlge: BevelGear has no argument.*'angle'"):
        widgets.build(dict(type="BevelGear", teeth=8, anlge=1), key="drive")
    with pytest.raises(ConfigError, match=r"drive\.teeth: Gear needs the argument 'teeth'"):
        widgets.build(dict(type="Gear"), key="drive")


def test_a_config_that_is_not_a_mapping_is_refused(widgets):
    with pytest.raises(ConfigError, match=r"expected dict\(type=...\)"):
        widgets.build("Gear")
    with pytest.raises(ConfigError, match="needs a 'type'"):
        widgets.build(dict(teeth=8))


def test_mmengines_own_classes_are_reached_through_the_children():
    from handzoo.registry import HOOKS

    assert HOOKS.get("EMAHook").__name__ == "EMAHook"
    with pytest.raises(ConfigError, match="EMAHook"):
        HOOKS.get("EMAHok")


def test_suggestions_ignore_case():
    assert suggest("mted", ["MTED", "MHF"]) == "Did you mean 'MTED'?"
    assert suggest("zzz", ["MTED", "MHF"]) == ""


def test_importing_handzoo_and_its_registries_does_not_import_torch():
    code = "import sys, handzoo, handzoo.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
