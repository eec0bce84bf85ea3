"""CLIP of open_clip, frozen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handzoo.errors import ConfigError, ResourceError, suggest
from handzoo.models.layers.state import read_state_dict
from handzoo.models.text_encoders.weights import read_small_clip
from handzoo.registry import TEXT_ENCODERS, current_key_path
from handzoo.resources import STAND_IN, resolve


class FrozenCLIP:
    """A CLIP model, its tokenizer and its way to normalise images; not a module on purpose.

    Kept out of the module tree, its weights are in no checkpoint, no optimiser and no gradient.
    """

    def __init__(
        self, model: nn.Module, tokenizer: Callable[..., Tensor], preprocess: dict[str, Any]
    ) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.size = int(preprocess["size"])
        self.mean = torch.tensor(preprocess["mean"]).view(3, 1, 1)
        self.std = torch.tensor(preprocess["std"]).view(3, 1, 1)
        self._text: dict[str, Tensor] = {}

    @torch.no_grad()
    def encode_image(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, E) of unit length."""
        with torch.autocast(pixels.device.type, enabled=False):
            self.model.to(pixels.device)
            pixels = pixels.float()
            if pixels.shape[-2:] != (self.size, self.size):
                pixels = F.interpolate(
                    pixels, (self.size, self.size), mode="bilinear", antialias=True
                )
            pixels = (pixels - self.mean.to(pixels)) / self.std.to(pixels)
            return self.model.encode_image(pixels, normalize=True)

    @torch.no_grad()
    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        """(B, E) of unit length; a prompt is encoded once, since the encoder is frozen."""
        device = next(self.model.parameters()).device
        unknown = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._text]
        if unknown:
            with torch.autocast(device.type, enabled=False):
                tokens = self.tokenizer(unknown).to(device)
                encoded = self.model.encode_text(tokens, normalize=True)
            self._text.update(zip(unknown, encoded, strict=True))
        return torch.stack([self._text[prompt].to(device) for prompt in prompts])


@TEXT_ENCODERS.register_module()
class OpenCLIP(nn.Module):
    """Image and text encoder of an open_clip model, frozen.

    The weights are read when they are first used, or by :meth:`init_weights` when a training
    starts: inference never touches them. They are the resource ``clip/<model>``; without it the
    bundled small CLIP of the same embedding width stands in.

    Args:
        model: open_clip's name of the architecture.
        pretrained: open_clip's tag of the weights.
        weights: a safetensors file, instead of the resource's usual places.

    Attributes:
        out_channels: E, width of an image's or a prompt's feature.

    Raises:
        ConfigError: open_clip has no such architecture.
    """

    source = "CLIP (Radford et al., ICML 2021); open_clip"

    def __init__(
        self, model: str = "ViT-B-32", pretrained: str = "openai", weights: str | None = None
    ) -> None:
        super().__init__()
        import open_clip

        config = open_clip.get_model_config(model)
        if config is None:
            raise ConfigError(
                f"{current_key_path('model')}: open_clip has no model {model!r}. "
                f"{suggest(model, open_clip.list_models())}"
            )
        self.model, self.pretrained, self.weights = model, pretrained, weights
        self.out_channels: int = config["embed_dim"]
        self._frozen: FrozenCLIP | None = None

    def init_weights(self) -> None:
        """Read the weights now instead of at the first use."""
        self.frozen()

    def frozen(self) -> FrozenCLIP:
        """The encoders, read if they have not been.

        Raises:
            ResourceError: there are no weights, not even a stand-in that fits.
        """
        if self._frozen is None:
            self._frozen = self._read()
        return self._frozen

    def _read(self) -> FrozenCLIP:
        import open_clip

        tag = "" if self.pretrained == "openai" else f"@{self.pretrained}"
        use = resolve(f"clip/{self.model}{tag}", self.weights)
        if use.status == STAND_IN:
            small, config = read_small_clip(use.path.parent)
            if config["embed_dim"] != self.out_channels:
                raise ResourceError(
                    f"the bundled CLIP has features of {config['embed_dim']}, {self.model} of "
                    f"{self.out_channels}: use model='ViT-B-32', or get the real one. {use.how}"
                )
            tokenizer = open_clip.SimpleTokenizer(
                context_length=config["text_cfg"]["context_length"]
            )
            return FrozenCLIP(small, tokenizer, config["preprocess"])
        where = use.path
        known = open_clip.get_pretrained_cfg(self.model, self.pretrained)
        quick = bool(known.get("quick_gelu", False))
        network = open_clip.create_model(self.model, pretrained=None, force_quick_gelu=quick)
        try:
            network.load_state_dict(read_state_dict(where))
        except RuntimeError as error:
            raise ResourceError(
                f"{where} does not fit open_clip's {self.model} ({error}). {use.how}"
            ) from error
        size = network.visual.image_size
        preprocess = {
            "size": size[0] if isinstance(size, (tuple, list)) else size,
            "mean": known["mean"],
            "std": known["std"],
        }
        return FrozenCLIP(network, open_clip.get_tokenizer(self.model), preprocess)

    def forward(self, pixels: Tensor, prompts: Sequence[str]) -> Tensor:
        """Encode images and prompts.

        Args:
            pixels: (B, 3, H, W) RGB in [0, 1].
            prompts: B sentences.

        Returns:
            (B, 2 E): image feature, then text feature, each of unit length.
        """
        image = self.encode_image(pixels)
        return torch.cat([image, self.encode_text(prompts).to(image)], 1)

    def encode_image(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1] -> (B, E) of unit length."""
        return self.frozen().encode_image(pixels)

    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        """B sentences -> (B, E) of unit length."""
        return self.frozen().encode_text(prompts)
