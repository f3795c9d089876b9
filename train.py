"""Entry point: see ``python train.py --help``."""

import sys

if __name__ == "__main__":
    try:
        from gan_tf.cli.main import train

        exit_code = train()
    except KeyboardInterrupt:  # while modules were imported; the command itself answers it in the same way
        print("stopped", file=sys.stderr)
        exit_code = 130
    sys.exit(exit_code)
