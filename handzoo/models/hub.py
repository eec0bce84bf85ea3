"""Files from the Hugging Face hub, without ever making an offline machine wait."""

from __future__ import annotations

import functools
import logging
import os
import urllib.error
import urllib.request
from pathlib import Path

_LOGGER = logging.getLogger(__name__)

REACH_SECONDS = 3.0


@functools.cache
def hub_is_reachable() -> bool:
    """Whether the hub answers within three seconds; asked once a process.

    ``HF_HUB_OFFLINE=1`` says no without asking; ``HF_ENDPOINT`` names a mirror.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return False
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    request = urllib.request.Request(endpoint, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=REACH_SECONDS):
            return True
    except urllib.error.HTTPError:
        return True  # it answered
    except (OSError, ValueError) as error:
        _LOGGER.info("the hub %s cannot be reached: %s", endpoint, error)
        return False


def fetch_from_hub(repo_id: str, filename: str) -> Path | None:
    """Return a hub file's path: out of the local cache, else downloaded, else None.

    Args:
        repo_id: such as ``timm/resnet50.a1_in1k``.
        filename: such as ``model.safetensors``.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError

    cached = try_to_load_from_cache(repo_id, filename)
    if isinstance(cached, str):
        return Path(cached)
    if not hub_is_reachable():
        return None
    try:
        return Path(hf_hub_download(repo_id, filename))
    except (HfHubHTTPError, OSError, ValueError) as error:
        _LOGGER.warning("%s of %s could not be downloaded: %s", filename, repo_id, error)
        return None
