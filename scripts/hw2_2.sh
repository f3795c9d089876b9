#!/usr/bin/env bash
# DLCV 2022, HW2, problem 2: writes 100 images of each digit as OUT_DIR/<digit>_<001..100>.png.
# Usage: bash scripts/hw2_2.sh OUT_DIR, from any folder. Creates the environment if there is none.
set -euo pipefail
if [ $# -ne 1 ]; then
    echo "error: hw2_2.sh takes one argument, the folder for the images, but $# were given. Use: bash hw2_2.sh OUT_DIR." >&2
    exit 2
fi
case "$1" in /*) out=$1 ;; *) out=$PWD/$1 ;; esac
cd "$(dirname "$0")/.."
. scripts/environment.sh
exec "$python" infer.py --task diffusion --overwrite --seed 0 "$out"
