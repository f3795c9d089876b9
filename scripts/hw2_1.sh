#!/usr/bin/env bash
# DLCV 2022, HW2 problem 1: writes 1,000 faces, 0000.png to 0999.png, into the folder OUT_DIR.
# Images that were written there before are replaced. Creates its own environment if there is none, as run_gan.sh does.
set -euo pipefail
if [ $# -ne 1 ] || [ -z "$1" ] || [ "${1:0:1}" = - ]; then
    echo "error: hw2_1.sh takes the folder for the images and nothing else. Run: bash scripts/hw2_1.sh OUT_DIR" >&2
    exit 2
fi
[ "${1:0:1}" = / ] && out=$1 || out=$PWD/$1
CDPATH='' cd "$(dirname "$0")/.."
set --  # a sourced file sees these arguments
. scripts/environment.sh
exec "$python" infer.py --task face --count 1000 --overwrite "$out"
