"""``python -m gan_tf train|infer|evaluate|fetch-weights``, which is also the console script ``gan-tf``."""

import sys

from gan_tf.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
