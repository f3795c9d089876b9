# Sourced, not run: makes the environment .venv in the repository's root when there is none, and sets $python to its Python.
# Usage: . scripts/environment.sh [REQUIREMENTS_FILE ...]   (from the root)

fail() { echo "error: $1; expected $2; $3" >&2; exit 2; }

requirements=(requirements.txt "$@")
stamp=.venv/installed-$(cat "${requirements[@]}" | sha256sum | cut -c1-16)
python=$PWD/.venv/bin/python

if [ ! -e "$stamp" ]; then
    base=
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
            base=$candidate
            break
        fi
    done
    [ -n "$base" ] || fail "no Python from 3.11 to 3.13 found (python3 is $(python3 --version 2>/dev/null || echo missing))" \
        "one that TensorFlow 2.21 runs on" "install one, for instance: apt install python3 python3-venv; or name it: PYTHON=/usr/bin/python3.12"
    "$base" -c 'import venv, ensurepip' 2>/dev/null || fail "$("$base" --version) has no venv module" \
        "one that can make environments" "for instance: apt install python3-venv"
    [ -w . ] || fail "$PWD can't be written" "a folder of your own" "clone the repository where you may write"
    echo "making the environment .venv (once; about 2.5 GB on disk, some minutes)" >&2
    log=.venv/pip.log
    [ -x "$python" ] && "$python" -c 'import pip' 2>/dev/null || "$base" -m venv --clear .venv || fail "no environment could be made in $PWD/.venv" "free disk space" "see the lines above"
    for file in "${requirements[@]}"; do
        "$python" -m pip install --disable-pip-version-check -q -r "$file" >"$log" 2>&1 || fail \
            "pip could not install $file ($(grep -m1 '^ERROR' "$log" || tail -n1 "$log"))" "a network that reaches the Python package index" \
            "look at $PWD/$log, then run this again"
    done
    touch "$stamp"
fi
