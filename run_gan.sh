#!/usr/bin/env bash
# Writes samples/gan.png: 25 anime faces, 5 x 5 tiles of 64x64, from the weights in this repository.
# Creates its own environment if there is none; needs Python 3.11, 3.12 or 3.13 with its venv module and nothing else.
set -euo pipefail
CDPATH='' cd "$(dirname "$0")"
if [ $# -gt 0 ]; then
    echo "error: run_gan.sh takes no arguments, but $1 was given. See python infer.py --help for other images." >&2
    exit 2
fi
. scripts/environment.sh
exec "$python" infer.py --task anime --grid 5x5 --seed 0 samples/gan.png
