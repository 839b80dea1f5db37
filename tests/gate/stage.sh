#!/usr/bin/env bash
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# stage.sh [NAME]: put the collection and what it depends on under $BUILD[/NAME]/ansible_collections; print that root.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

dest=$BUILD${1:+/$1}
mkdir -p "$dest/ansible_collections" "$CACHE"
python3 "$GATE_ROOT/tests/gate/stage.py" "$GATE_ROOT" "$dest/$COLLECTION"
# A copy inside an ignored directory of the checkout is empty to tools that ask git; its own repository makes it a whole.
[ -d "$dest/$COLLECTION/.git" ] || git init -q "$dest/$COLLECTION"

# The collections ours depends on: from Galaxy where it answers, else out of PyPI's `ansible` wheel, which carries them.
deps=$CACHE/collections
names='kubernetes.core'
fetch_dependencies() {
    local tools tmp name
    tools=$("$GATE_ROOT/tests/gate/venv.sh" controller)
    tmp=$(mktemp -d "$CACHE/collections.XXXXXX")
    # shellcheck disable=SC2086 # a list of names
    if timeout 60 "$tools/bin/ansible-galaxy" collection install --timeout 10 -p "$tmp" $names >"$tmp/galaxy.log" 2>&1; then
        say "dependencies ($names) from Galaxy"
    else
        say "Galaxy does not answer: dependencies ($names) from PyPI's ansible wheel"
        "$tools/bin/python" -m pip download -qq --no-deps --dest "$tmp" ansible >&2
        for name in $names; do
            "$tools/bin/python" - "$tmp" "ansible_collections/${name/./\/}/" <<'PY'
import glob, sys, zipfile
with zipfile.ZipFile(glob.glob(sys.argv[1] + "/ansible-*.whl")[0]) as wheel:
    members = [name for name in wheel.namelist() if name.startswith(sys.argv[2])]
    if not members:
        sys.exit("the ansible wheel holds no " + sys.argv[2])
    wheel.extractall(sys.argv[1], members)
PY
        done
        rm -f "$tmp"/ansible-*.whl
    fi
    rm -rf "$deps"
    mv "$tmp" "$deps"
}
exec 9>"$CACHE/collections.lock"
flock 9
for name in $names; do
    [ -d "$deps/ansible_collections/${name/./\/}" ] || { fetch_dependencies; break; }
done
exec 9>&-
for name in $names; do
    target=$dest/ansible_collections/${name/./\/}
    [ -d "$target" ] || { mkdir -p "$(dirname "$target")"; cp -a "$deps/ansible_collections/${name/./\/}" "$target"; }
done
printf '%s\n' "$dest"
