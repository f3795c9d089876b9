# Sourced, not run: creates the environment .venv in the repository's root if there is none, and sets $python to its Python.
# Usage: . scripts/environment.sh [REQUIREMENTS_FILE ...]   (from the root)

fail() { echo "error: $1. $2." >&2; exit 2; }  # PROBLEM HINT

requirements=(requirements.txt "$@")
stamp=.venv/installed-$(cat "${requirements[@]}" | sha256sum | cut -c1-16)
python=$PWD/.venv/bin/python

if [ ! -e "$stamp" ] || [ ! -x "$python" ]; then  # a Python that has gone leaves a broken link
    base=
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
            base=$candidate
            break
        fi
    done
    [ -n "$base" ] || fail \
        "No Python from 3.11 to 3.13, which TensorFlow 2.21 needs, was found (python3 is $(python3 --version 2>/dev/null || echo missing))" \
        "Install one, for instance with: apt install python3 python3-venv; or name it with PYTHON=/usr/bin/python3.12"
    "$base" -c 'import venv, ensurepip' 2>/dev/null || fail "$("$base" --version) has no venv module" \
        "Install it, for instance with: apt install python3-venv"
    [ -w . ] || fail "$PWD cannot be written" "Clone the repository into a folder of your own"
    echo "creating the environment .venv (once; about 2.5 GB on disk, some minutes)" >&2
    log=.venv/pip.log
    if ! { [ -x "$python" ] && "$python" -c 'import pip' 2>/dev/null; }; then
        "$base" -m venv --clear .venv || fail "The environment $PWD/.venv could not be created" \
            "See the lines above, and free some disk space"
    fi
    for file in "${requirements[@]}"; do
        "$python" -m pip install --disable-pip-version-check -q -r "$file" >"$log" 2>&1 || fail \
            "pip could not install $file ($(grep -m1 '^ERROR' "$log" || tail -n1 "$log"))" \
            "Check that the Python package index can be reached, see $PWD/$log, and run this again"
    done
    touch "$stamp"
fi
