"""Entry point: see ``python evaluate.py --help``."""

import sys

from gan_tf.cli.main import evaluate

if __name__ == "__main__":
    sys.exit(evaluate())
