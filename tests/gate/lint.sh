#!/usr/bin/env bash
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# lint.sh [STEP...]: what can be said without running the collection. Every step runs; one that fails fails the whole.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

venv=$("$GATE_ROOT/tests/gate/venv.sh" controller)
root=$("$GATE_ROOT/tests/gate/stage.sh" lint)
cd "$root/$COLLECTION"
export PATH=$venv/bin:$PATH ANSIBLE_COLLECTIONS_PATH=$root ANSIBLE_HOME=$CACHE/ansible-home

step_yamllint() { yamllint --strict .; }

step_ansible_lint() { ansible-lint --profile production --offline --strict --nocolor; }

step_shellcheck() {
    local -a scripts
    mapfile -t scripts < <(git ls-files --cached --others --exclude-standard | while read -r name; do
        if [ -f "$name" ] && head -c 64 "$name" | head -n 1 | grep -aqE '^#!.*[/ ](ba)?sh( |$)' && ! head -n 8 "$name" | grep -aq '^"exec" '; then
            printf '%s\n' "$name"
        fi
    done)
    [ "${#scripts[@]}" -gt 0 ] || die 'no shell script found'
    shellcheck -x -P SCRIPTDIR "${scripts[@]}"
    say "shellcheck: ${#scripts[@]} scripts"
}

step_docs() {
    antsibull-docs lint-collection-docs --plugin-docs --skip-rstcheck --validate-collection-refs self .
}

step_changelog() { antsibull-changelog lint; }

step_reuse() { reuse lint --quiet || reuse lint --lines; }

step_execution_environment() {
    local out
    out=$(ansible-builder introspect "$ANSIBLE_COLLECTIONS_PATH")
    grep -q 'container_checkpoint.kubernetes' <<<"$out" || die "ansible-builder finds no requirements of ours: $out"
}

# What Galaxy does with an upload: build the artefact, and import it.
step_artefact() {
    local out=$BUILD/artefact
    rm -rf "$out"
    mkdir -p "$out"
    ansible-galaxy collection build --output-path "$out" . >/dev/null
    cd "$out"
    # The importer runs ansible-lint and ansible-test again unless told not to; both have their own part here.
    cat >galaxy-importer.cfg <<'CFG'
[galaxy-importer]
RUN_ANSIBLE_LINT = False
RUN_ANSIBLE_TEST = False
CHECK_REQUIRED_TAGS = True
RUN_FLAKE8 = False
CFG
    GALAXY_IMPORTER_CONFIG=$out/galaxy-importer.cfg python -m galaxy_importer.main container_checkpoint-kubernetes-*.tar.gz >import.log 2>&1 ||
        { cat import.log; die 'the importer refuses the artefact'; }
    if grep -E '^(WARNING|ERROR)' import.log; then die 'the importer complains about the artefact'; fi
}

[ $# -gt 0 ] || set -- yamllint ansible_lint shellcheck docs changelog reuse execution_environment artefact
failed=''
for name in "$@"; do
    # A subshell of its own, so that a failure inside a step is one (set -e is off in a condition).
    begin=$SECONDS rc=0
    bash -c "set -euo pipefail; $(declare -f "step_$name" say die); step_$name" || rc=$?
    if [ "$rc" -eq 0 ]; then
        say "lint $name: passed in $((SECONDS - begin)) s"
    else
        say "lint $name: FAILED after $((SECONDS - begin)) s"
        failed="$failed $name"
    fi
done
[ -z "$failed" ] || die "lint failed:$failed"
