#!/usr/bin/env bash
# DLCV 2022, HW2 problem 3: writes image_name,label of the digits in the folder TARGET_DIR into OUT_CSV, which is replaced.
# The last part of the folder's path that is svhn or usps says which digits they are. Creates its own environment if there is
# none, as run_gan.sh does.
set -euo pipefail
if [ $# -ne 2 ] || [ -z "$1" ] || [ -z "$2" ] || [ "${1:0:1}" = - ] || [ "${2:0:1}" = - ]; then
    echo "error: hw2_3.sh takes the folder of digits and the CSV file. Run: bash scripts/hw2_3.sh TARGET_DIR OUT_CSV" >&2
    exit 2
fi
[ "${1:0:1}" = / ] && images=$1 || images=$PWD/$1
[ "${2:0:1}" = / ] && out=$2 || out=$PWD/$2
CDPATH='' cd "$(dirname "$0")/.."
set --  # a sourced file sees these arguments
. scripts/environment.sh
exec "$python" infer.py --task dann --overwrite "$images" "$out"
