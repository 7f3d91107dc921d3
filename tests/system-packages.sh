#!/usr/bin/env bash
# What the tests need besides Python: a browser for the report, the parts of a Kubernetes node that Debian has, and
# Prometheus, which judges metrics.
# Installed on Debian as root, named elsewhere.
set -euo pipefail

# program:package; the first program of a package that is missing brings the package.
browser=(chromium:chromium chromium:fonts-dejavu-core)
node=(containerd:containerd runc:runc /usr/lib/cni/bridge:containernetworking-plugins buildah:buildah
  debootstrap:debootstrap nft:nftables ip:iproute2 conntrack:conntrack unshare:util-linux mount:mount openssl:openssl)
metrics=(promtool:prometheus)

missing() {
  local each
  for each in "$@"; do
    command -v "${each%%:*}" >/dev/null || echo "${each#*:}"
  done
}

mapfile -t wanted < <(missing "${browser[@]}" "${node[@]}" "${metrics[@]}")
[ ${#wanted[@]} = 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing ${wanted[*]} (a browser for the report's page, a node for the tests on Kubernetes, Prometheus for metrics)"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${wanted[@]}" >/dev/null
else
  echo "missing: ${wanted[*]} (Debian: apt-get install); the tests that need them are skipped and say so"
fi
