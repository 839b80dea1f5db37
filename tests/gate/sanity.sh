#!/usr/bin/env bash
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# sanity.sh controller|floor [options of ansible-test sanity]: ansible-test sanity, without any ignore file, on the newest or the oldest ansible-core.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

kind=${1:?controller or floor}
shift
venv=$("$GATE_ROOT/tests/gate/venv.sh" "$kind")
home=$("$GATE_ROOT/tests/gate/ansible-test-home.sh" "$kind")
root=$("$GATE_ROOT/tests/gate/stage.sh" "sanity-$kind")
cd "$root/$COLLECTION"
[ ! -e tests/sanity ] || die 'tests/sanity must not exist: nothing is ignored here'
# What differs between Pythons (compile, import) the newest ansible-core looks at on all of them; the oldest on its own is enough.
[ "$kind" = controller ] || set -- --python "$("$venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')" "$@"
say "ansible-test sanity: $("$venv/bin/ansible-test" --version 2>&1 | head -n 1), Pythons: $(pythons | cut -d' ' -f1 | tr '\n' ' ')"
HOME=$home PIP_CACHE_DIR=$CACHE/pip PATH=$venv/bin:$(python_path) ansible-test sanity --color no "$@" 2>&1 |
    grep -vE '^(Collecting|Processing|Installing|Successfully|Using cached|  (Downloading|Using cached)| +━)'
