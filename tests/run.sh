#!/usr/bin/env bash
# Makes the environment when there is none and runs the tests: `bash tests/run.sh [--all] [pytest's own arguments]`.
# --all runs the slow ones too.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh tests/requirements.txt
marks=(-m "not slow")
if [ "${1:-}" = "--all" ]; then marks=(); shift; fi
"$python" -m ruff check .
"$python" -m ruff format --check .
exec "$python" -m pytest "${marks[@]}" "$@"
