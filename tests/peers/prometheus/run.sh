#!/usr/bin/env bash
# Fetches Prometheus if needed, and runs the tests marked prometheus, which start it and stop it.
#
#   run.sh [PYTEST ARGUMENTS]
#
# Environment: PROMETHEUS_PEER_DIR  where the program lives, default .peers/prometheus in the project
#              PYTHON               interpreter that runs the tests, default .venv/bin/python, else python3
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../../.."
export PROMETHEUS_PEER_DIR=${PROMETHEUS_PEER_DIR:-$PWD/.peers/prometheus}
python=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}

"$here/fetch_from_debian.sh"
METTA_PROMETHEUS_PEER=$PROMETHEUS_PEER_DIR/bin/prometheus "$python" -m pytest -m prometheus tests/kubernetes "$@"
