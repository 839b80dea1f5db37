# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens when a restore fails, when the handler is killed, and when two want the same restore."""

from __future__ import annotations

import json
import os
import time

import pytest
from cri_node import HANDLER, SLOW, STAGING, CriError, Node, Pod, wait
from staging import THERE, module, stage
from test_restore import source

# How many of the steps at which the handler can be killed are tried where HANDLER_SLOW is not set.
SAMPLE = 6


def break_images(node: Node) -> None:
    """Make CRIU fail: one of the staged images says something else, at the same length."""
    node.run("f=$(ls %s/staged/*/checkpoint/mm-1.img) && printf xxxx | dd of=$f bs=1 seek=40 conv=notrunc status=none" % STAGING)


def kill_in(node: Node, command: str, step: int) -> None:
    """Have the next such call of the handler killed at this side effect."""
    node.run("rm -f %s/steps" % THERE)
    node.put(THERE + "/plan.json", json.dumps({"command": command, "kill_at": step}))


def steps(node: Node) -> int:
    """How many side effects the last traced call had."""
    text = node.run("cat %s/steps 2>/dev/null || echo 0" % THERE)
    return int(text.split()[0])


def try_container(node: Node, pod: Pod, attempt: int) -> "tuple[str, str]":
    """Create and start a container that may fail; return its ID and the error."""
    identity = node.container(pod, start=False, attempt=attempt)
    try:
        node.cri.call("StartContainer", container_id=identity)
        return identity, ""
    except CriError as exc:
        return identity, str(exc)


def discard(node: Node, identity: str) -> None:
    """Stop and remove a container as the kubelet does."""
    node.cri.stop(identity, 0)
    node.cri.call("RemoveContainer", container_id=identity)


def test_policy_fail_says_why_and_goes_on_failing(node: Node) -> None:
    """The runtime's error names the cause; a retry does not silently start it afresh; nothing half is left."""
    pod, archive = source(node)
    target = node.pod("web-restored", handler=HANDLER)
    entry = stage(node, archive, target, pod)
    break_images(node)
    for attempt in range(2):
        identity, error = try_container(node, target, attempt)
        assert "could not be restored" in error or "its policy is 'fail'" in error
        discard(node, identity)
        assert node.leftovers(identity) == ""
    state, status = node.entries()[entry]
    assert (state, status["outcome"]) == ("failed", "failed")
    assert status["criu_errors"]
    assert node.run("find %s -name 'pages-*'" % STAGING).strip() == ""


def test_policy_cold_start_starts_it_afresh(node: Node) -> None:
    """With cold_start the container starts as its image says; where the root was touched already, at the next attempt."""
    pod, archive = source(node)
    target = node.pod("web-restored", handler=HANDLER)
    entry = stage(node, archive, target, pod, policy="cold_start")
    break_images(node)
    identity, error = try_container(node, target, 0)
    assert "the next one starts as the image says" in error
    discard(node, identity)
    node.container(target, attempt=1)
    fresh = wait(lambda: node.counts(target, attempt=1), 20, "the fresh log")
    assert fresh[0][1] == 1
    assert node.entries()[entry][0] == "done"


def test_cold_start_at_once_where_nothing_was_touched(node: Node) -> None:
    """A restore that is refused before the root is touched does not cost an attempt."""
    pod, archive = source(node)
    target = node.pod("web-restored", handler=HANDLER)
    stage(node, archive, target, pod, policy="cold_start")
    node.container(target, tty=True)
    fresh = wait(lambda: node.counts(target), 20, "the fresh log")
    assert fresh[0][1] == 1


@pytest.mark.parametrize("command", ["create", "start"])
def test_killed_at_every_step(traced: Node, command: str) -> None:
    """SIGKILL at every side effect of the handler: no half container stays, and nothing is lost before the start.

    HANDLER_SLOW=1 takes every step from HANDLER_FIRST_STEP (1) on, otherwise a sample with the last ones.
    """
    node = traced
    pod, archive = source(node)
    target = node.pod("web-restored", handler=HANDLER)
    digest = node.run("sha256sum '%s'" % archive).split()[0]
    # Once without a kill, to count.
    stage(node, archive, target, pod, archive_sha256=digest)
    kill_in(node, command, 1 << 30)
    identity, error = try_container(node, target, 0)
    assert error == ""
    count, attempt = steps(node), 0
    assert count > {"create": 60, "start": 20}[command], "the handler has more steps than that"
    discard(node, identity)
    if SLOW:
        plan = range(int(os.environ.get("HANDLER_FIRST_STEP", "1")), count + 1)
    else:
        plan = sorted({*range(1, count, max(1, count // SAMPLE)), count - 1, count})
    killed = 0
    for step in plan:
        node.run("rm -rf %s/*/*" % STAGING)
        attempt += 1
        entry = stage(node, archive, target, pod, archive_sha256=digest)
        kill_in(node, command, step)
        identity, error = try_container(node, target, attempt)
        if not error:
            # A run may have a step less than the one that was counted.
            assert step > count - 3, "it was not killed at step %d of %d" % (step, count)
            discard(node, identity)
            continue
        killed += 1
        assert steps(node) == step, error
        discard(node, identity)
        wait(lambda: not node.leftovers(identity), 30, "the clean-up after a kill at step %d: %s" % (step, node.leftovers(identity)))
        node.run("rm -f %s/plan.json" % THERE)
        state, status = node.entries()[entry]
        began = node.run("grep -l '\"started\": true' %s/*/%s/claim.json || true" % (STAGING, entry)).strip()
        attempt += 1
        again, error = try_container(node, target, attempt)
        assert error == "", "after a kill at step %d (%s, %s): %s" % (step, state, status.get("outcome"), error)
        logged = wait(lambda: node.counts(target, attempt=attempt), 20, "the log after a kill at step %d" % step)
        if began:
            assert logged[0][1] == 1, "restored although it may have run before (step %d)" % step
        else:
            assert logged[0][0] == node.counts(pod)[0][0], "its state was lost at step %d" % step
        discard(node, again)
        assert node.leftovers(again) == ""
    print("%s: killed at %d of %d steps" % (command, killed, count))
    assert killed >= len(plan) - 2


def test_a_second_container_cannot_have_it(traced: Node) -> None:
    """While one container of the pod is being restored or waits for its start, another one is refused."""
    node = traced
    pod, archive = source(node)
    target = node.pod("web-restored", handler=HANDLER)
    entry = stage(node, archive, target, pod)
    # A claimed entry whose claimer lives: this shell, for the time of the test.
    node.run(
        "cd {0} && mv staged/{1} claimed/ && (sleep 300 & echo $! > /tmp/claimer) >/dev/null 2>&1 && pid=$(cat /tmp/claimer) && "
        "printf '{{\"pid\": %d, \"start_time\": %d, \"boot_id\": \"%s\", \"container_id\": \"x\", \"started\": false}}' $pid "
        "$(sed 's/.*) //' /proc/$pid/stat | cut -d' ' -f20) $(cat /proc/sys/kernel/random/boot_id) > claimed/{1}/claim.json".format(STAGING, entry)
    )
    identity, error = try_container(node, target, 0)
    assert "already claimed" in error
    discard(node, identity)
    with pytest.raises(Exception, match="being restored"):
        module(node, "restore_stage", state="absent", entry=entry)
    node.run("pid=$(cat /tmp/claimer); kill $pid; while [ -e /proc/$pid ]; do sleep 0.05; done; rm /tmp/claimer")
    identity, error = try_container(node, target, 1)
    assert error == ""


def test_expiry(node: Node) -> None:
    """An entry that nobody came for loses its memory; its pod fails instead of starting without its state."""
    pod, archive = source(node)
    target = node.pod("web-restored", handler=HANDLER)
    entry = stage(node, archive, target, pod, expires=1)
    time.sleep(1.2)
    node.run("systemctl start container-checkpoint-expire.service")
    assert node.entries()[entry][1]["outcome"] == "expired"
    assert node.run("find %s -name 'pages-*'" % STAGING).strip() == ""
    _identity, error = try_container(node, target, 0)
    assert "no container came for it in time" in error
