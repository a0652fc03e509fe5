#!/usr/bin/env bash
# Runs a script of this folder with the packages of requirements.txt, in a virtual environment that
# lies outside the checkout and is made when needed.
#
#   tests/conformance/run.sh check                  all that needs no network
#   tests/conformance/run.sh check_vectors.py       or check_parts.py, check_side_vectors.py,
#                                                   check_proof_vectors.py
#   tests/conformance/run.sh register.py --devnet DIR/devnet.json
#   tests/conformance/run.sh register.py --grpc 127.0.0.1:PORT --genesis FILE \
#       --agency-seed FILE --registrar-seed FILE
#   tests/conformance/run.sh certificates.py --devnet DIR/devnet.json
#   tests/conformance/run.sh certificates.py --grpc 127.0.0.1:PORT --genesis FILE \
#       --agency-seed FILE --registrar-seed FILE [--client PROGRAM]     (more: --help)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/certchain
wanted=$(sha256sum "$here/requirements.txt" | cut -d' ' -f1)
venv=$cache/venv

if [[ $# -eq 1 && $1 == check ]]; then
    "$0" check_parts.py
    "$0" check_vectors.py
    "$0" check_side_vectors.py
    exec "$0" check_proof_vectors.py
fi
if [[ $# -lt 1 || ! -f $here/$1 ]]; then
    echo "usage: $0 check, or $0 SCRIPT [ARGUMENT...] with a script of $here" >&2
    exit 2
fi

mkdir -p "$cache"
(
    # Two runs at a time make it once.
    flock 9
    if [[ "$(cat "$venv/requirements.sha256" 2>/dev/null)" != "$wanted" ]]; then
        python=${PYTHON:-python3}
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
            echo "Python 3.11 or later is needed; name one with PYTHON=..." >&2
            exit 1
        }
        echo "making $venv" >&2
        "$python" -m venv --clear "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
        echo "$wanted" >"$venv/requirements.sha256"
    fi
) 9>"$cache/venv.lock" || exit 1

script=$1
shift
PYTHONDONTWRITEBYTECODE=1 exec "$venv/bin/python" "$here/$script" "$@"
