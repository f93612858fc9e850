#!/bin/sh
# Pins the content of what deploy/versions.env names: the image of the Agent and the Helm chart.
#
#   deploy/pin.sh               look up both digests (needs docker and helm) and write them into versions.env: review and commit
#   deploy/pin.sh --image       print the pinned digest of the image; fails without one
#   deploy/pin.sh --chart DIR   download the chart to DIR, compare it with the pinned digest, print the path of its archive
set -eu

VERSIONS="$(dirname "$0")/versions.env"
IMAGE=registry.datadoghq.com/agent
REPOSITORY=https://helm.datadoghq.com

fail() { printf 'pin.sh: %s\n' "$*" >&2; exit 1; }

pull() {
    mkdir -p "$1"
    helm pull datadog --repo "$REPOSITORY" --version "$CHART_VERSION" --destination "$1" >&2
    printf '%s/datadog-%s.tgz' "$1" "$CHART_VERSION"
}

digest_of() { printf 'sha256:%s' "$(sha256sum <"$1" | cut -d ' ' -f 1)"; }

# A digest is sha256: and 64 hexadecimal digits.
is_digest() {
    case $1 in
        sha256:*[!0-9a-f]*) return 1 ;;
        sha256:*) [ "${#1}" -eq 71 ] ;;
        *) return 1 ;;
    esac
}

require() { is_digest "$2" || fail "$1 in $VERSIONS is not a digest; run deploy/pin.sh and commit the file"; }

write() { sed "s|^$1=.*|$1=$2|" "$VERSIONS" >"$VERSIONS.new" && mv "$VERSIONS.new" "$VERSIONS"; }

. "$VERSIONS"
case "${1:-}" in
    '')
        agent=$(docker buildx imagetools inspect "$IMAGE:$AGENT_VERSION" --format '{{.Manifest.Digest}}')
        is_digest "$agent" || fail "docker names no digest of $IMAGE:$AGENT_VERSION, but: $agent"
        directory=$(mktemp -d)
        trap 'rm -rf "$directory"' EXIT
        chart=$(digest_of "$(pull "$directory")")
        write AGENT_DIGEST "$agent"
        write CHART_DIGEST "$chart" ;;
    --image)
        require AGENT_DIGEST "$AGENT_DIGEST"
        printf '%s\n' "$AGENT_DIGEST" ;;
    --chart)
        [ $# -eq 2 ] || fail "--chart needs a directory"
        require CHART_DIGEST "$CHART_DIGEST"
        archive=$(pull "$2")
        found=$(digest_of "$archive")
        [ "$found" = "$CHART_DIGEST" ] || { rm -f "$archive"; fail "the chart $CHART_VERSION has the digest $found, pinned is $CHART_DIGEST"; }
        printf '%s\n' "$archive" ;;
    *) fail "unknown option $1" ;;
esac
