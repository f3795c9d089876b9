"""``python -m gan_tf.report RUN…``: makes the page of a run again, or one that compares runs."""

import sys

from gan_tf.cli.main import report

if __name__ == "__main__":
    sys.exit(report())
