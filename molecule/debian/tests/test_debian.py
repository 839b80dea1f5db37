# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian 13's CRIU, as the role criu left it, works on the kernel of this machine."""

from __future__ import annotations

# The process counts, so that going on is something else than starting again.
MOVE = r"""
set -eu
rm -rf /root/move && mkdir -p /root/move/images && cd /root/move
setsid sh -c 'n=0; while :; do n=$((n+1)); echo $n >new; mv new count; sleep 0.2; done' </dev/null >/dev/null 2>&1 &
pid=$!
for _ in $(seq 600); do [ "$(cat count 2>/dev/null || echo 0)" -lt 5 ] || break; sleep 0.2; done
criu dump --tree "$pid" --images-dir images --log-file dump.log || { tail -n 20 images/dump.log; exit 1; }
wait "$pid" || echo ended
cat count
echo stopped >count
criu restore --images-dir images --log-file restore.log --restore-detached || { tail -n 20 images/restore.log; exit 1; }
for _ in $(seq 600); do [ "$(cat count)" = stopped ] || break; sleep 0.2; done
cat count
kill "$pid"
"""


def test_the_roles_options_are_there(host):
    """What runc gives to CRIU."""
    assert "tcp-close" in host.file("/etc/criu/runc.conf").content_string.splitlines()


def test_criu_is_the_distributions(host):
    """No repository was added for it."""
    assert host.package("criu").version.startswith("4.1")
    checked = host.run("criu check")
    assert checked.rc == 0 and "Looks good." in checked.stdout + checked.stderr
    assert not [name for name in host.file("/etc/apt/sources.list.d").listdir() if "checkpoint" in name]


def test_a_process_is_dumped_and_goes_on(host):
    """It ends with the dump, and counts on after the restore from where it was."""
    done = host.run(MOVE)
    assert done.rc == 0, done.stdout + done.stderr
    ended, before, after = done.stdout.split()
    assert ended == "ended"
    assert int(before) < int(after) < int(before) + 100
