"""Entry point: see ``python infer.py --help``."""

import sys

from gan_tf.cli.main import infer

if __name__ == "__main__":
    sys.exit(infer())
