# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the node's command-line tools with a deadline.

PRIVATE to the collection. The edge between C(AnsibleModule.run_command), which knows no time-out, and the files that
only want C(run(argv, timeout) -> (rc, stdout, stderr)) and C(find(name) -> path or None).
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    DeadlineError,
    RuntimeToolError,
)

Run = t.Callable[[t.Sequence[str], float], t.Tuple[int, str, str]]
Find = t.Callable[[str], t.Optional[str]]

# Where packages put tools that are not always in the PATH of a task: CRI-O's own runtimes, hand-installed ones.
TOOL_DIRS = ["/usr/libexec/crio", "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/sbin", "/opt/bin"]

# coreutils "timeout": the command was ended by TERM, or needed KILL.
_TIMED_OUT = (124, 137)


class CommandRunner:
    """C(find) and C(run) for one module. C(module) is anything with get_bin_path() and run_command()."""

    def __init__(self, module: t.Any) -> None:
        self._module = module
        self._limiter = module.get_bin_path("timeout")

    def find(self, name: str) -> t.Optional[str]:
        """The full path of a tool, or None. The task's PATH comes first."""
        return self._module.get_bin_path(name) or self._module.get_bin_path(name, opt_dirs=TOOL_DIRS)

    def run(self, argv: t.Sequence[str], timeout: float) -> t.Tuple[int, str, str]:
        """Run argv (no shell); DeadlineError when it takes longer than timeout seconds."""
        if not self._limiter:
            raise RuntimeToolError(
                "'timeout' (coreutils) is not installed, and without it no command can be given a deadline: install "
                "coreutils"
            )
        limited = [self._limiter, "--kill-after=5", "%.3f" % timeout] + list(argv)
        started = time.monotonic()
        rc, out, err = self._module.run_command(limited, check_rc=False, environ_update={"LC_ALL": "C", "LANG": "C"})
        if rc in _TIMED_OUT and time.monotonic() - started >= timeout:
            raise DeadlineError(
                "'%s' did not finish within %g s and was ended" % (" ".join(argv[:4]), timeout), argv=list(argv)
            )
        return rc, out, err

    def run_with_pipes(
        self, argv: t.Sequence[str], pass_fds: t.Sequence[int], started: t.Callable[[], None]
    ) -> t.Tuple[int, str, str]:
        """Run argv with these descriptors open in it; calls started() when it has them. For streams, so no deadline."""
        return self._module.run_command(
            list(argv),
            pass_fds=list(pass_fds),
            before_communicate_callback=lambda process: started(),
            handle_exceptions=False,
            environ_update={"LC_ALL": "C"},
        )
