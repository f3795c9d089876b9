#!/usr/bin/env bash
# DLCV 2022, HW2 problem 2: writes 100 images of each digit, 0_001.png to 9_100.png, into the folder OUT_DIR.
# Images that were written there before are replaced. Creates its own environment if there is none, as run_gan.sh does.
set -euo pipefail
if [ $# -ne 1 ] || [ -z "$1" ] || [ "${1:0:1}" = - ]; then
    echo "error: hw2_2.sh takes the folder for the images and nothing else. Run: bash scripts/hw2_2.sh OUT_DIR" >&2
    exit 2
fi
[ "${1:0:1}" = / ] && out=$1 || out=$PWD/$1
CDPATH='' cd "$(dirname "$0")/.."
set --  # a sourced file sees these arguments
. scripts/environment.sh
exec "$python" infer.py --task diffusion --per-digit 100 --overwrite "$out"
