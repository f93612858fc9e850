#!/usr/bin/env bash
# Unpacks a real Prometheus from Debian bookworm's package "prometheus". Nothing is installed; root is not needed.
#
#   fetch_from_debian.sh [DIR]      DIR: default $PROMETHEUS_PEER_DIR or ./.peers/prometheus; the program lands in DIR/bin
#
# Environment: DEBIAN_MIRROR  see ../debian.sh
set -euo pipefail

. "$(cd "$(dirname "$0")/.." && pwd)/debian.sh"
dir=${1:-${PROMETHEUS_PEER_DIR:-$PWD/.peers/prometheus}}
dir=$(mkdir -p "$dir" && cd "$dir" && pwd)
if [ -x "$dir/bin/prometheus" ]; then
  echo "already there: $dir/bin"; exit 0
fi
echo "fetching prometheus"
configure_apt "$dir"
unpack "$dir" prometheus
mkdir -p "$dir/bin"
cp "$dir/debs/tree/usr/bin/prometheus" "$dir/bin/"
rm -rf "$dir/apt" "$dir/debs"
"$dir/bin/prometheus" --version 2>&1 | head -1
