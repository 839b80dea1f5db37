#!/usr/bin/env bash
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# integration.sh [TARGET...]: ansible-test integration, each target by itself. They use real sockets, files and
# processes of this machine (never its kubelet or runtime), and some need root.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

venv=$("$GATE_ROOT/tests/gate/venv.sh" controller)
root=$("$GATE_ROOT/tests/gate/stage.sh" integration)
cd "$root/$COLLECTION"
[ $# -gt 0 ] || mapfile -t targets < <(find tests/integration/targets -mindepth 2 -maxdepth 2 -name aliases -printf '%h\n' | xargs -r -n 1 basename | sort)
[ $# -eq 0 ] || targets=("$@")
[ "${#targets[@]}" -gt 0 ] || die 'no integration target found'
say "integration targets: ${targets[*]}"
PATH=$venv/bin:$(python_path) ansible-test integration --color no --allow-root --allow-destructive --allow-unsupported --continue-on-error "${targets[@]}"
