"""``python -m gan_tf train|infer|evaluate|report|fetch-weights``, which is also the console script ``gan-tf``."""

import sys


def main() -> int:
    """Runs the command that the arguments name; returns the exit code."""
    try:
        from gan_tf.cli.main import main as run_named_command

        return run_named_command()
    except KeyboardInterrupt:  # while modules were imported; the command itself answers it in the same way
        print("stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
