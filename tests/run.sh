#!/usr/bin/env bash
# Makes the environment if there is none and runs the checks and tests: `bash tests/run.sh [--all] [pytest's own arguments]`.
# --all runs the slow tests too. The files of tests are divided between processes, one for each core but at most 4 (each takes 2 GB);
# `-n 0` runs all in one.
set -euo pipefail
CDPATH='' cd "$(dirname "$0")/.."
. scripts/environment.sh tests/requirements.txt
selection=(-m "not slow")
if [ "${1:-}" = "--all" ]; then selection=(); shift; fi
"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m mypy
.venv/bin/lint-imports
exec "$python" -m pytest -n auto --maxprocesses 4 --dist loadfile "${selection[@]}" "$@"
