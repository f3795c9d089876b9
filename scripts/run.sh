#!/usr/bin/env bash
# NCTU Data Science 2021, HW4: writes 10,000 dogs into result/images_inference/ in the repository's root.
# Usage: scripts/run.sh DATA_DIR [ANNOTATIONS_DIR] [--from-scratch]
# DATA_DIR holds images/, and annotations/ unless ANNOTATIONS_DIR is given. Trains first if no weights are shipped (or goes on
# with the newest training), and with --from-scratch. Creates its own environment if there is none, as run_gan.sh does.
set -euo pipefail
usage() {  # PROBLEM
    echo "error: $1. Run: bash scripts/run.sh DATA_DIR [ANNOTATIONS_DIR] [--from-scratch]." >&2
    exit 2
}
from_scratch=
folders=()
for word in "$@"; do
    case $word in
    --from-scratch) from_scratch=1 ;;
    -* | "") usage "run.sh takes folders and --from-scratch, but '$word' was given" ;;
    /*) folders+=("$word") ;;
    *) folders+=("$PWD/$word") ;;
    esac
done
if [ ${#folders[@]} -lt 1 ] || [ ${#folders[@]} -gt 2 ]; then
    usage "run.sh takes one or two folders, but ${#folders[@]} were given"
fi
for folder in "${folders[@]}"; do
    [ -d "$folder" ] || usage "There is no folder $folder"
done
CDPATH='' cd "$(dirname "$0")/.."
set --  # a sourced file sees these arguments
. scripts/environment.sh
data=(--data "${folders[0]}")
[ ${#folders[@]} -eq 1 ] || data+=(--annotations "${folders[1]}")
weights=()
if [ -n "$from_scratch" ]; then
    "$python" train.py --task dog "${data[@]}"
    weights=(--weights newest)
elif ! compgen -G "gan_tf/weights/dog/*/weights.npz" >/dev/null; then
    "$python" train.py --task dog "${data[@]}" --resume
    weights=(--weights newest)
fi
exec "$python" infer.py --task dog --count 10000 --overwrite ${weights[@]+"${weights[@]}"} result/images_inference
