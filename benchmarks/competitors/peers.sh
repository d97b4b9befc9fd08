#!/usr/bin/env bash
# Sets up benchmarks/.venv-peers with the peers of requirements.txt: benchmarks/competitors/peers.sh [PYTHON]
set -euo pipefail
cd "$(dirname "$0")"

python="${1:-python3}"
environment=../.venv-peers
pip=("$environment/bin/python" -m pip install --disable-pip-version-check --quiet -c ../../constraints.txt)

"$python" -m venv "$environment"
"${pip[@]}" torch==2.13.0
"${pip[@]}" -r requirements.txt
"$environment/bin/python" -c 'import setfit; print("peers are ready: setfit", setfit.__version__)'
