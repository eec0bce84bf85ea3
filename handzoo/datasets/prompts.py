"""Text prompts of the paper (section 4.1, Tables 1 and 2) and the colours that they name.

Table 1 lists what precedes the hand ("a cropped image of"), the hand ("right hand with"), and the
background: eighteen colours and the words bright and dark. The final prompt adds the gesture:
"an image of a hand on a {color} background in a gesture that means {class}."
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product

import numpy as np

from handzoo.datasets.randomness import generator
from handzoo.errors import ConfigError, suggest

IMAGE_PHRASES: tuple[str, ...] = (
    "a cropped image of",
    "an image of",
    "a cropped photo of",
    "a picture of",
    "one",
    "a photo of",
    "a photo of right",
)
HAND_PHRASES: tuple[str, ...] = ("hand with", "right hand with")

# The colours that Table 1 names, with the sRGB values that stand for them here.
COLORS: dict[str, tuple[int, int, int]] = {
    "mustard": (212, 168, 41),
    "green": (51, 128, 36),
    "white": (245, 245, 245),
    "olive": (112, 115, 41),
    "orange": (237, 133, 33),
    "blue": (38, 82, 184),
    "gray": (128, 128, 128),
    "pink": (240, 168, 189),
    "coral": (245, 120, 99),
    "lime": (168, 219, 51),
    "purple": (115, 56, 148),
    "silver": (191, 194, 199),
    "black": (13, 13, 13),
    "red": (194, 31, 31),
    "yellow": (242, 217, 61),
    "beige": (222, 204, 168),
    "brown": (110, 69, 41),
    "wine": (107, 23, 46),
}
TONES: tuple[str, ...] = ("bright", "dark")
BACKGROUNDS: tuple[str, ...] = (*COLORS, *TONES)

# Table 2 also writes "on a bright room": a place that needs no word "background".
_PLACES = ("room", "scene")
_FINAL = re.compile(
    r"^an image of a hand on a (?P<background>.+?)"
    r"(?: in a gesture that means (?P<gesture>.+?))?\.?$"
)


@dataclass(frozen=True)
class ParsedPrompt:
    """What a final prompt says: the background's word and the gesture's name, if it has one."""

    color: str
    gesture: str | None


def gesture_words(gesture: str) -> str:
    """A gesture's name as Table 2 writes it: ``two_up_inverted`` -> ``two up inv.``"""
    return gesture.replace("_inverted", "_inv.").replace("_", " ")


def _gesture_name(words: str) -> str:
    return re.sub(r" inv\.?$", "_inverted", words.strip("\"'“” ")).replace(" ", "_")


def final_prompt(color: str, gesture: str | None = None) -> str:
    """The paper's final prompt; without its last clause where the gesture is not known.

    Example:
        >>> final_prompt("green", "palm")
        'an image of a hand on a green background in a gesture that means palm.'
    """
    place = color if color.endswith(_PLACES) else f"{color} background"
    clause = f" in a gesture that means {gesture_words(gesture)}" if gesture else ""
    return f"an image of a hand on a {place}{clause}".rstrip(".") + "."


def parse_prompt(prompt: str) -> ParsedPrompt:
    """Read a final prompt back, the inverse of :func:`final_prompt`.

    Raises:
        ConfigError: the text does not have the final prompt's form.
    """
    match = _FINAL.match(prompt.strip())
    if match is None:
        raise ConfigError(
            f"prompt {prompt!r} is not of the form 'an image of a hand on a <color> background "
            "in a gesture that means <class>.'"
        )
    words = match["gesture"]
    return ParsedPrompt(
        color=match["background"].removesuffix(" background"),
        gesture=_gesture_name(words) if words else None,
    )


def table1_prompts() -> list[str]:
    """Every prompt that Table 1 spells: image phrase, hand phrase, background word.

    "a photo of right" already names the side: it does not meet "right hand with", and its prompt
    is also that of "a photo of" with "right hand with", so it is listed once.
    """
    prompts = (
        f"{image} {hand} {background} background"
        for image, hand, background in product(IMAGE_PHRASES, HAND_PHRASES, BACKGROUNDS)
        if not (image.endswith("right") and hand.startswith("right"))
    )
    return list(dict.fromkeys(prompts))


class PromptBuilder:
    """Prompts for samples.

    Args:
        mode: ``final`` (the paper's last form, used for training) or ``table1`` (a random
            combination of Table 1's phrases, which says nothing about the gesture).
    """

    MODES = ("final", "table1")

    def __init__(self, mode: str = "final") -> None:
        if mode not in self.MODES:
            raise ConfigError(
                f"prompt mode {mode!r} is unknown. {suggest(mode, self.MODES)} "
                f"Allowed: {', '.join(self.MODES)}."
            )
        self.mode = mode

    def __call__(
        self,
        color: str,
        gesture: str | None = None,
        rng: np.random.Generator | None = None,
    ) -> str:
        """Prompt for a background and a gesture.

        Args:
            color: word of Table 1, or a scene such as ``mountain``.
            gesture: name of one of the 19 classes, or None where it is not known.
            rng: source of the random phrases of ``table1``.
        """
        if self.mode == "final":
            return final_prompt(color, gesture)
        draw = rng if rng is not None else generator()
        image = IMAGE_PHRASES[draw.choice(len(IMAGE_PHRASES))]
        hand = HAND_PHRASES[0 if image.endswith("right") else draw.choice(len(HAND_PHRASES))]
        return f"{image} {hand} {color} background"
