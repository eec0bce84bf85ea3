"""Table 1 and Table 2, and the names of colours."""

import numpy as np
import pytest

from handzoo.datasets.colors import background_color, nearest_color
from handzoo.datasets.prompts import (
    BACKGROUNDS,
    COLORS,
    HAND_PHRASES,
    IMAGE_PHRASES,
    PromptBuilder,
    final_prompt,
    parse_prompt,
    table1_prompts,
)
from handzoo.errors import ConfigError
from handzoo.hands.gestures import GESTURES


def test_table_one_has_its_words():
    assert len(IMAGE_PHRASES) == 7 and len(HAND_PHRASES) == 2
    assert len(COLORS) == 18 and len(BACKGROUNDS) == 20
    prompts = table1_prompts()
    assert len(prompts) == len(set(prompts)) == 6 * 2 * 20  # the seventh phrase spells nothing new
    assert "a cropped photo of right hand with mustard background" in prompts
    assert not [text for text in prompts if "right right" in text]


def test_final_prompt_reads_as_in_the_paper():
    assert final_prompt("green", "palm") == (
        "an image of a hand on a green background in a gesture that means palm."
    )
    # Table 2's four rows, without their quotes.
    assert final_prompt("bright room", "peace_inverted") == (
        "an image of a hand on a bright room in a gesture that means peace inv."
    )
    assert final_prompt("mountain", "two_up_inverted").endswith("means two up inv.")
    assert final_prompt("wine") == "an image of a hand on a wine background."


@pytest.mark.parametrize("color", ["green", "bright", "mountain", "bright room"])
@pytest.mark.parametrize("gesture", [*GESTURES, None])
def test_parsing_returns_what_was_said(color, gesture):
    parsed = parse_prompt(final_prompt(color, gesture))
    assert (parsed.color, parsed.gesture) == (color, gesture)


def test_other_text_is_refused():
    with pytest.raises(ConfigError, match="not of the form"):
        parse_prompt("a photo of a cat")


def test_builder_modes():
    assert PromptBuilder()("red", "fist") == final_prompt("red", "fist")
    build = PromptBuilder("table1")
    rng = np.random.default_rng(0)
    drawn = {build("red", "fist", rng) for _ in range(400)}
    allowed = {text for text in table1_prompts() if " red " in text}
    assert drawn == allowed
    with pytest.raises(ConfigError, match="Did you mean 'final'"):
        PromptBuilder("finall")


def test_every_color_is_nearest_to_itself():
    for name, rgb in COLORS.items():
        assert nearest_color(np.array(rgb)) == name


def test_background_is_read_off_the_border():
    image = np.zeros((100, 120, 3), np.uint8)
    image[:] = COLORS["purple"]
    image[20:80, 20:] = COLORS["beige"]  # a hand and an arm that leaves at the right
    assert background_color(image) == "purple"
