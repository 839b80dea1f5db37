#!/usr/bin/env bash
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# units.sh: the unit tests as ansible-test runs them, on the oldest and the newest Python that nodes may have here.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

venv=$("$GATE_ROOT/tests/gate/venv.sh" controller)
home=$("$GATE_ROOT/tests/gate/ansible-test-home.sh" controller)
root=$("$GATE_ROOT/tests/gate/stage.sh" units)
cd "$root/$COLLECTION"
failed=0
while read -r version path; do
    say "ansible-test units on Python $version ($path)"
    HOME=$home PIP_CACHE_DIR=$CACHE/pip PATH=$venv/bin:$(python_path) timed "units on Python $version" \
        ansible-test units --venv --python "$version" --color no </dev/null || failed=1
done < <(pythons | sed -n '1p;1!{$p}')
exit "$failed"
