#!/usr/bin/env bash
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# molecule.sh [SCENARIO...]: the molecule scenarios, one after the other, from a staged copy. GATE_VENV=floor-run: on the oldest ansible-core.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

venv=$("$GATE_ROOT/tests/gate/venv.sh" "${GATE_VENV:-controller}")
root=$("$GATE_ROOT/tests/gate/stage.sh" molecule)
cd "$root/$COLLECTION"
[ $# -gt 0 ] || mapfile -t scenarios < <(find molecule -mindepth 2 -maxdepth 2 -name molecule.yml -printf '%h\n' | xargs -r -n 1 basename | sort)
[ $# -eq 0 ] || scenarios=("$@")
[ "${#scenarios[@]}" -gt 0 ] || die 'no molecule scenario found'
export PATH=$venv/bin:$PATH ANSIBLE_COLLECTIONS_PATH=$root NO_COLOR=1 PY_COLORS=0 COLUMNS=200
failed=''
for scenario in "${scenarios[@]}"; do
    timed "molecule $scenario" molecule test --scenario-name "$scenario" || failed="$failed $scenario"
done
[ -z "$failed" ] || die "molecule failed:$failed"
