#!/usr/bin/env bash
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# pythons.sh: make sure of the oldest and the newest Python that nodes may have; list what there is.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

for version in 3.9 3.14; do
    ensure_python "$version" >/dev/null || say "Python $version: NOT FOUND, the tests run without it"
done
pythons | grep . || die 'no Python 3.9 to 3.14 found'
