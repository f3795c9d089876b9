"""The cache folder: what can be downloaded or computed again, such as the weights of scoring networks."""

import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """Returns the cache folder, which may not exist yet: ``$GAN_TF_CACHE``, or ``~/.cache/gan_tf`` without it.

    For a user without a home folder it is ``gan_tf-<user>`` in the folder of temporary files.
    """
    named = os.environ.get("GAN_TF_CACHE")
    if named:
        return Path(named)
    try:
        return Path.home() / ".cache" / "gan_tf"
    except RuntimeError:  # neither HOME nor an entry of the user
        return Path(tempfile.gettempdir()) / f"gan_tf-{os.getuid()}"
