"""The cache folder: what can be downloaded or computed again, such as the weights of scoring networks."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Returns the cache folder, which may not exist yet: ``$GAN_TF_CACHE``, or ``~/.cache/gan_tf`` without it."""
    return Path(os.environ.get("GAN_TF_CACHE") or Path.home() / ".cache" / "gan_tf")
