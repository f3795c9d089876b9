"""The folder of what can be got again: weights of the scores' networks, features of real images."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder for what can be got again: ``$GAN_TF_CACHE``, else ``~/.cache/gan_tf``. It may not exist yet."""
    return Path(os.environ.get("GAN_TF_CACHE") or Path.home() / ".cache" / "gan_tf")
