"""Entry point: see ``python train.py --help``."""

import sys

from gan_tf.cli.main import train

if __name__ == "__main__":
    sys.exit(train())
