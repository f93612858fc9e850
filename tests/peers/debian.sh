# To be sourced. Takes packages of Debian bookworm from an archive, checked with Debian's keyring; installs nothing, needs no root.
#
# Environment: DEBIAN_MIRROR  root URI of a Debian archive; default: the first archive that this machine's apt is configured with

# need_tools TOOL...
need_tools() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null || { echo "missing tool: $tool" >&2; exit 2; }
  done
}

# configure_apt DIR: lets the apt commands that follow use directories below DIR. Their output goes to DIR/apt.log.
configure_apt() {
  local dir=$1 keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror
  need_tools apt-get dpkg
  [ -r "$keyring" ] || { echo "missing $keyring (package debian-archive-keyring)" >&2; exit 2; }
  mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 '/debian/\?$' || true)}
  [ -n "$mirror" ] || { echo "no Debian archive configured: set DEBIAN_MIRROR" >&2; exit 2; }
  mkdir -p "$dir"/apt/etc/trusted "$dir"/apt/state/lists/partial "$dir"/apt/cache/archives/partial
  : > "$dir/apt/state/status"
  printf '%s [signed-by=%s] %s bookworm main\n' deb "$keyring" "$mirror" deb-src "$keyring" "$mirror" > "$dir/apt/etc/sources.list"
  # The machine's own apt.conf.d (proxies, certificates) stays in force; only directories are ours.
  cat > "$dir/apt/apt.conf" <<CONF
Dir::Etc::sourcelist "$dir/apt/etc/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State "$dir/apt/state";
Dir::State::status "$dir/apt/state/status";
Dir::Cache "$dir/apt/cache";
APT::Sandbox::User "";
CONF
  export APT_CONFIG=$dir/apt/apt.conf
  apt-get -q update > "$dir/apt.log" 2>&1 || { tail -5 "$dir/apt.log" >&2; exit 1; }
}

# unpack DIR PACKAGE...: puts the files of the packages into DIR/debs/tree. Needs configure_apt.
unpack() {
  local dir=$1 deb
  shift
  mkdir -p "$dir/debs"
  ( cd "$dir/debs"
    apt-get -q download "$@" >> "$dir/apt.log" 2>&1 || { tail -5 "$dir/apt.log" >&2; exit 1; }
    for deb in *.deb; do dpkg -x "$deb" tree; done )
}
