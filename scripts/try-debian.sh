#!/usr/bin/env bash
# Runs `npm ci && npm test` on another Debian with another Node, in a root directory of its own made by debootstrap.
# It tests a clean clone of HEAD. Needs root, debootstrap and npm.
set -euo pipefail

usage() {
  cat <<'TEXT'
scripts/try-debian.sh [--working-tree | --again] [suite] [node version] [-- command ...]

  suite           a Debian suite; trixie (Debian 13) by default
  node version    a version, or the beginning of one; 24 by default
  --working-tree  tests the files as they are in the working tree, not HEAD
  --again         reuses the checkout and the installed packages of the previous run
  -- command      runs this command in the checkout instead of `npm ci && npm test`

DEBIAN_MIRROR is the mirror to install from; by default the one that this machine's apt uses.
The root directory stays in ${XDG_CACHE_HOME:-~/.cache}/parley/debian-<suite>. Delete it to start from nothing.
TEXT
}

fail() {
  echo "try-debian: $*" >&2
  exit 1
}

source=HEAD
while [[ ${1:-} == --?* ]]; do
  case $1 in
    --help) usage && exit ;;
    --working-tree) source=tree ;;
    --again) source=again ;;
    *) usage >&2 && exit 2 ;;
  esac
  shift
done
suite=trixie node=24
if [[ $# -gt 0 && $1 != -- ]]; then suite=$1 && shift; fi
if [[ $# -gt 0 && $1 != -- ]]; then node=$1 && shift; fi
command=(sh -c 'npm ci && npm test')
if [[ ${1:-} == -- ]]; then shift && command=("$@"); fi

[[ $(id -u) == 0 ]] || fail 'needs root, to install packages and to change the root directory'
for tool in debootstrap npm git unshare; do
  command -v "$tool" >/dev/null || fail "$tool was not found. Install it, for example with apt-get."
done

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/parley
root=$cache/debian-$suite
checkout=/srv/parley

# The mirror that this machine's apt uses for its first Debian source.
mirror() {
  local site=${DEBIAN_MIRROR:-}
  if [[ -z $site ]] && command -v apt-get >/dev/null; then
    # shellcheck disable=SC2016
    site=$(apt-get indextargets --format '$(ORIGIN) $(SITE)' 'Created-By: Packages' | awk '$1 == "Debian" { print $2; exit }')
  fi
  [[ -n $site ]] || fail 'apt names no mirror of Debian. Set DEBIAN_MIRROR to one.'
  echo "$site"
}

make_root() {
  [[ -e $root/etc/debian_version ]] && return
  echo "Installing Debian $suite into $root …"
  mkdir -p "$cache"
  rm -rf "$root.new"
  debootstrap --variant=minbase --include=ca-certificates,git,procps "$suite" "$root.new" "$(mirror)" >"$cache/debootstrap.log" ||
    fail "debootstrap failed: $(tail -n 1 "$cache/debootstrap.log"). See $cache/debootstrap.log"
  mv "$root.new" "$root"
}

# What this machine needs to reach the network: names, proxies, certificates.
share_network() {
  local file
  for file in /etc/resolv.conf /etc/hosts; do cp -L "$file" "$root$file"; done
  if command -v apt-config >/dev/null; then
    apt-config dump | grep -E '^Acquire::(Check-|https?|Retries|ForceIPv)' >"$root/etc/apt/apt.conf.d/99try-debian" || true
  fi
  for file in "${NODE_EXTRA_CA_CERTS:-}" "${SSL_CERT_FILE:-}" "$(npm config get cafile)"; do
    if [[ -f $file ]]; then install -D -m 644 "$file" "$root$file"; fi
  done
}

# From the packages of npm's registry, which are what they are on every system: no compiler, no archive of another site.
install_node() {
  local place=$root/opt/node-$node npm=11
  [[ ${node%%.*} -ge 24 ]] || npm=10
  if [[ ! -x $place/bin/npm ]]; then
    echo "Installing Node $node and npm $npm …"
    rm -rf "$place" "$place.new"
    mkdir -p "$place.new/lib/node_modules/npm"
    unpack "node-linux-$(npm_arch)@$node" "$place.new"
    unpack "npm@$npm" "$place.new/lib/node_modules/npm"
    ln -s ../lib/node_modules/npm/bin/npm-cli.js "$place.new/bin/npm"
    ln -s ../lib/node_modules/npm/bin/npx-cli.js "$place.new/bin/npx"
    mv "$place.new" "$place"
  fi
}

npm_arch() {
  case $(uname -m) in
    x86_64) echo x64 ;;
    aarch64) echo arm64 ;;
    *) fail "npm's registry has no Node for $(uname -m)" ;;
  esac
}

unpack() {
  local folder archive
  folder=$(mktemp -d)
  archive=$(cd "$folder" && npm pack --silent "$1") || fail "npm's registry has no $1"
  tar -xzf "$folder/$archive" -C "$2" --strip-components=1
  rm -r "$folder"
}

make_checkout() {
  [[ $source == again && -d $root$checkout ]] && return
  rm -rf "$root$checkout"
  git clone --quiet --no-hardlinks "$repository" "$root$checkout"
  [[ $source == tree ]] || return 0
  git -C "$root$checkout" ls-files -z | (cd "$root$checkout" && xargs -0 rm -f)
  git -C "$repository" ls-files -z --cached --others --exclude-standard |
    (cd "$repository" && while IFS= read -r -d '' file; do [[ -e $file ]] && printf '%s\0' "$file"; done) |
    tar -C "$repository" --null --files-from=- -cf - | tar -C "$root$checkout" -xf -
}

# Runs in namespaces of its own: all mounts and all processes end with it.
enter() {
  # shellcheck disable=SC2016
  local inside='
    set -e
    root=$1 checkout=$2 && shift 2
    mount --make-rprivate /
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    mountpoint -q "$root/dev/shm" || { mkdir -p "$root/dev/shm" && mount -t tmpfs tmpfs "$root/dev/shm"; }
    exec chroot "$root" sh -c "cd $checkout && exec \"\$@\"" sh "$@"'
  local name kept=()
  for name in $(compgen -e); do
    case $name in
      *_proxy | *_PROXY | NODE_EXTRA_CA_CERTS | SSL_CERT_FILE | CI | TERM | LANG) kept+=("$name=${!name}") ;;
    esac
  done
  for name in registry cafile proxy https-proxy; do
    local value
    value=$(npm config get "$name")
    if [[ $value != null && $value != undefined ]]; then kept+=("npm_config_${name//-/_}=$value"); fi
  done
  env -i "${kept[@]}" HOME=/root PATH="/opt/node-$node/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
    unshare --mount --pid --fork --kill-child bash -c "$inside" bash "$root" "$checkout" "$@"
}

make_root
share_network
install_node
make_checkout
status=0
enter "${command[@]}" </dev/null || status=$?
echo "Debian $(cat "$root/etc/debian_version") ($suite), Node $(enter node --version): $([[ $status == 0 ]] && echo passed || echo "failed with exit code $status")"
exit "$status"
