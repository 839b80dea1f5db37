#!/usr/bin/env bash
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# deps.sh [PACKAGE...]: the Debian or Ubuntu packages that the tests and the lab need, and those named. Does nothing when all are there.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

packages='patchelf debian-archive-keyring python3 python3-venv python3-pip git rsync shellcheck openssh-client iproute2 iptables debootstrap systemd-container
 docker-registry zstd age buildah skopeo openssh-server sudo'
packages="$packages $*"
missing=''
for package in $packages; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null; then
    die "these Debian packages' programs are needed, and this is not Debian or Ubuntu:$missing"
fi
[ "$(id -u)" -eq 0 ] || die "not root: run 'sudo make deps', or install:$missing"
say "installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# The registry is started by the lab, with its own configuration; nothing else may start on its own either.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
# shellcheck disable=SC2086 # a list of names
apt-get install -qq -y --no-install-recommends $missing >/dev/null
