"""The small CLIP that stands in where OpenAI's weights cannot be had: its training.

An open_clip model with two small towers and ViT-B-32's embedding width, trained with open_clip's
contrastive loss on a folder in FreiHAND's layout whose ``{split}_meta.json`` says each image's
prompt (the bundled sample, or anything that ``tools/synthesize.py`` makes).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handzoo.datasets.prompts import BACKGROUNDS, final_prompt, parse_prompt, table1_prompts
from handzoo.errors import DataError
from handzoo.hands.gestures import GESTURES
from handzoo.models.text_encoders.weights import small_clip, write_small_clip

# open_clip's own normalisation constants (those of OpenAI's CLIP).
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
SIZE = 64
NO_GESTURE = "no_gesture"

CONFIG: dict[str, Any] = {
    "embed_dim": 512,
    "vision_cfg": {
        "image_size": SIZE,
        "layers": [1, 1, 2, 1],  # four numbers make a ResNet: it needs less data than a ViT
        "width": 12,
        "head_width": 96,
    },
    "text_cfg": {
        "context_length": 32,
        "vocab_size": 49408,
        "width": 128,
        "heads": 4,
        "layers": 2,
    },
    "preprocess": {"size": SIZE, "mean": CLIP_MEAN, "std": CLIP_STD},
}


@dataclass
class CaptionedImages:
    """Images and what is said of them.

    Attributes:
        images: (N, 3, 64, 64) uint8 RGB.
        prompts: N sentences.
    """

    images: Tensor
    prompts: list[str]

    def __len__(self) -> int:
        return len(self.prompts)


def read_captioned(root: str | Path, split: str) -> CaptionedImages:
    """Read every image of a split with its prompt.

    Args:
        root: folder in FreiHAND's layout with ``{split}_meta.json``.
        split: ``training`` or ``evaluation``.

    Raises:
        DataError: there is no such file, or an image is missing.
    """
    root = Path(root)
    meta_path = root / f"{split}_meta.json"
    if not meta_path.is_file():
        raise DataError(f"{meta_path} is missing: make the data with tools/synthesize.py.")
    meta = json.loads(meta_path.read_text())
    images, prompts = [], []
    for version in range(max(len(entry["prompts"]) for entry in meta)):
        for index, entry in enumerate(meta):
            if version >= len(entry["prompts"]):
                continue
            path = root / split / "rgb" / f"{index + version * len(meta):08d}.jpg"
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if image is None:
                raise DataError(f"{path} cannot be read; {meta_path} says that it is there.")
            small = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
            images.append(torch.from_numpy(small[..., ::-1].copy()).permute(2, 0, 1))
            prompts.append(entry["prompts"][version])
    return CaptionedImages(torch.stack(images), prompts)


def tokenizer() -> Callable[..., Tensor]:
    """CLIP's tokenizer at the small model's length."""
    from open_clip import SimpleTokenizer

    return SimpleTokenizer(context_length=CONFIG["text_cfg"]["context_length"])


class Vocabulary:
    """The words that prompts use, numbered without gaps, so that only their embeddings are trained.

    The order of CLIP's numbers is kept: the end of a text stays the highest, which open_clip
    looks for.

    Args:
        prompts: these, and every prompt that the paper's templates make, must be expressible.

    Attributes:
        ids: (T,) CLIP's numbers of the words.
    """

    def __init__(self, prompts: Sequence[str]) -> None:
        self._tokenize = tokenizer()
        made = [final_prompt(color, gesture) for color in BACKGROUNDS for gesture in GESTURES]
        self.ids = self._tokenize(sorted({*made, *table1_prompts(), *prompts})).unique()

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Texts -> (N, length) indices into :attr:`ids`."""
        return torch.searchsorted(self.ids, self._tokenize(list(texts)))


def sampling_weights(prompts: Sequence[str]) -> Tensor:
    """How often to draw each image (N,): every gesture alike, however many images show it.

    Random poses, half of the sample, are all "no gesture"; drawn as they come, they would fill
    the batches with pairs that only their backgrounds tell apart.
    """
    gestures = [parse_prompt(prompt).gesture for prompt in prompts]
    counts = Counter(gestures)
    return torch.tensor([1.0 / counts[gesture] for gesture in gestures])


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Random shift, zoom, turn and gain: (B, 3, H, W) uint8 -> float in [0, 1]."""
    count = len(images)
    noise = torch.rand(count, 5, generator=generator) * 2 - 1
    angle, zoom = 0.35 * noise[:, 0], 1 + 0.15 * noise[:, 1]
    rows = torch.stack([zoom * angle.cos(), -zoom * angle.sin(), 0.12 * noise[:, 2]], 1)
    columns = torch.stack([zoom * angle.sin(), zoom * angle.cos(), 0.12 * noise[:, 3]], 1)
    grid = F.affine_grid(torch.stack([rows, columns], 1), list(images.shape), align_corners=False)
    pixels = images.float() / 255
    pixels = F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)
    return (pixels * (1 + 0.1 * noise[:, 4, None, None, None])).clamp(0, 1)


def normalize(pixels: Tensor) -> Tensor:
    """(B, 3, H, W) in [0, 1] -> input of the image tower."""
    mean = torch.tensor(CLIP_MEAN).view(3, 1, 1)
    return (pixels - mean) / torch.tensor(CLIP_STD).view(3, 1, 1)


def train_small_clip(
    data: CaptionedImages,
    words: Vocabulary,
    epochs: int = 80,
    batch_size: int = 128,
    lr: float = 1e-3,
    seed: int = 0,
    log: Callable[[str], None] | None = None,
) -> nn.Module:
    """Train on captioned images with open_clip's contrastive loss.

    Args:
        data: the images.
        words: of their prompts.
        epochs, batch_size, lr: AdamW with a linear warm-up and a cosine decay.
        seed: of initialisation, order and augmentation.
        log: called with a line after every fifth epoch.

    Returns:
        The model in evaluation mode; its token embeddings are those of ``words`` alone.
    """
    from open_clip import ClipLoss

    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    text_cfg = {**CONFIG["text_cfg"], "vocab_size": len(words.ids)}
    model = small_clip({**CONFIG, "text_cfg": text_cfg}).train()
    tokens = words(data.prompts)
    weights = sampling_weights(data.prompts)
    loss_function = ClipLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.05)
    steps = max(len(data) // batch_size, 1)
    total, warm = epochs * steps, max(epochs * steps // 20, 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * step / total))),
    )
    for epoch in range(epochs):
        order = torch.multinomial(weights, len(data), replacement=True, generator=generator)
        losses = []
        for step in range(steps):
            chosen = order[step * batch_size : (step + 1) * batch_size]
            pixels = normalize(augment(data.images[chosen], generator))
            image, text, scale = model(pixels, tokens[chosen])
            loss = loss_function(image, text, scale)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                model.logit_scale.clamp_(0, math.log(100))
            losses.append(loss.item())
        if log is not None and (epoch % 5 == 4 or epoch == epochs - 1):
            log(f"epoch {epoch + 1}/{epochs}: loss {np.mean(losses):.3f}")
    return model.eval()


@torch.no_grad()
def zero_shot_accuracy(
    model: nn.Module, data: CaptionedImages, tokenize: Callable[..., Tensor]
) -> dict[str, float]:
    """How often the right prompt is nearest, among gestures and among backgrounds.

    The other word of the prompt is given. Gestures are the 18 that mean something; images of
    "no gesture" count for the backgrounds only. Chance is 1/18, and one over the backgrounds.

    Args:
        model: the CLIP.
        data: what to classify.
        tokenize: :class:`Vocabulary` for a model in training, :func:`tokenizer` for one of a file.
    """
    image = model.encode_image(normalize(data.images.float() / 255), normalize=True)
    said = [parse_prompt(prompt) for prompt in data.prompts]
    colors = sorted({*BACKGROUNDS, *(words.color for words in said)})
    texts = [final_prompt(color, gesture) for color in colors for gesture in GESTURES]
    text = torch.cat(
        [model.encode_text(tokenize(texts[i : i + 256]), normalize=True)
         for i in range(0, len(texts), 256)]
    ).unflatten(0, (len(colors), len(GESTURES)))  # fmt: skip
    similarity = torch.einsum("ne,cge->ncg", image, text)
    right: dict[str, list[bool]] = {"gesture": [], "background": []}
    for row, words in zip(similarity, said, strict=True):
        color = colors.index(words.color)
        if words.gesture not in GESTURES:
            continue
        gesture = GESTURES.index(words.gesture)
        right["background"].append(int(row[:, gesture].argmax()) == color)
        if words.gesture != NO_GESTURE:
            named = row[color].clone()
            named[GESTURES.index(NO_GESTURE)] = -1
            right["gesture"].append(int(named.argmax()) == gesture)
    return {name: float(np.mean(hits)) if hits else math.nan for name, hits in right.items()}


def make_stand_in(
    root: str | Path,
    out: str | Path,
    epochs: int = 80,
    batch_size: int = 128,
    seed: int = 0,
    log: Callable[[str], None] = print,
) -> dict[str, float]:
    """Train on ``root``'s training part, write ``out``, and say how well it does on evaluation.

    Args:
        root: folder in FreiHAND's layout, with prompts.
        out: folder for ``config.json`` and ``model.safetensors``.
        epochs, batch_size, seed: see :func:`train_small_clip`.
        log: called with progress lines.
    """
    data, unseen = read_captioned(root, "training"), read_captioned(root, "evaluation")
    words = Vocabulary([*data.prompts, *unseen.prompts])
    model = train_small_clip(data, words, epochs, batch_size, seed=seed, log=log)
    accuracy = zero_shot_accuracy(model, unseen, words)
    seen = zero_shot_accuracy(model, data, words)
    notes = {
        "trained_on": f"{len(data)} images and prompts of HandZoo's sample",
        "epochs": epochs,
        "seed": seed,
        "accuracy_on_evaluation": {name: round(value, 4) for name, value in accuracy.items()},
        "accuracy_on_training": {name: round(value, 4) for name, value in seen.items()},
    }
    write_small_clip(model, {**CONFIG, "notes": notes}, words.ids, Path(out))
    return accuracy
