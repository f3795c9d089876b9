"""Entry point: see ``python infer.py --help``."""

import sys

if __name__ == "__main__":
    try:
        from gan_tf.cli.main import infer

        exit_code = infer()
    except KeyboardInterrupt:  # while modules were imported; the command itself answers it in the same way
        print("stopped", file=sys.stderr)
        exit_code = 130
    sys.exit(exit_code)
