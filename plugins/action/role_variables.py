# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of C(role_variables), which is all of it: compare names, warn."""

from __future__ import annotations

import pathlib
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.container_checkpoint.kubernetes.plugins.plugin_utils._misspelt import known, misspelt


class ActionModule(ActionBase):
    """See the module's documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(
        self, tmp: t.Optional[str] = None, task_vars: t.Optional[t.Dict[str, t.Any]] = None
    ) -> t.Dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(
            {
                "role_path": {"type": "path", "required": True},
                "facts": {"type": "list", "elements": "str", "default": []},
            }
        )
        place = pathlib.Path(options["role_path"])
        variables = known(place.parent, place.name)
        names = set(task_vars or {}) - set(options["facts"])
        found = misspelt(names, place.name, variables)
        result["changed"] = False
        result["misspelt"] = [{"name": name, "nearest": nearest} for name, nearest in found]
        if found:
            result["warnings"] = [
                "%s is no variable of the role %s, and has no effect. Did you mean %s?" % (name, place.name, nearest)
                for name, nearest in found
            ]
        return result
