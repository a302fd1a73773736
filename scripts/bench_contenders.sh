#!/usr/bin/env bash
# Installs everything that `srwan bench net` compares srwan with: Debian's packages, and two programs from the Rust registry.
#
#   scripts/bench_contenders.sh [--root FOLDER]
#
# FOLDER is for the Rust programs (then: srwan bench net --programs FOLDER); by default they go where cargo installs.
# The packages' own services are not started: the benchmark brings its own configuration.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive CARGO_NET_RETRY=5

root=()
case "${1:-}" in
  "") ;;
  --root) root=(--root "${2:?--root takes a folder}") ;;
  *) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac

as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo -n); fi

"${as_root[@]}" apt-get -qq update
"${as_root[@]}" apt-get -qq install -y --no-install-recommends \
  iproute2 ethtool iperf3 openssl wireguard-go wireguard-tools nebula tinc openvpn

# Each with its default features: both use the faster cryptography by default.
cargo install --locked "${root[@]}" gotatun-cli@0.10.2 boringtun-cli@0.7.1
