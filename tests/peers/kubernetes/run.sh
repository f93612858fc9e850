#!/usr/bin/env bash
# Builds the real kube-apiserver if needed, starts it, runs the tests marked kube_apiserver against it, stops it.
#
#   run.sh [PYTEST ARGUMENTS]
#
# Environment: KUBE_PEER_DIR   where the binaries are built and the state lives, default .peers/kubernetes in the project
#              KUBE_PEER_PORT  first of three ports, default 16443
#              PYTHON          interpreter that runs the tests, default .venv/bin/python, else python3
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../../.." && pwd)
cd "$project"
export KUBE_PEER_DIR=${KUBE_PEER_DIR:-$project/.peers/kubernetes}
python=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}

PYTHON=python3 "$here/build_from_debian.sh"
state=$(mktemp -d "$KUBE_PEER_DIR/state.XXXXXX")
trap '"$here/peer_down.sh" "$state" --purge' EXIT
"$here/peer_up.sh" "$state" "${KUBE_PEER_PORT:-16443}"
METTA_KUBE_PEER=$state "$python" -m pytest -m kube_apiserver tests/kubernetes "$@"
