"""Generator of the bundled hand model: procedural, original, seed-free and reproducible.

``build_hand_asset`` assembles everything that ``handzoo/assets/hand/bundled_hand.npz`` holds.
"""

from handzoo.hands.generation.build import build_hand_asset, save_hand_asset

__all__ = ["build_hand_asset", "save_hand_asset"]
