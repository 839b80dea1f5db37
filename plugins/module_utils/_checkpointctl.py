# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What C(checkpointctl inspect) says about an archive, in the same form as our own reader's (C(_archive_details)).

PRIVATE to the collection. It is never asked for environments, and only fields named here are taken from its answer.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import RuntimeToolError

JsonDict = t.Dict[str, t.Any]
Run = t.Callable[[t.Sequence[str], float], t.Tuple[int, str, str]]

# Not --all, which includes --ps-tree-env: the values of environment variables.
_OPTIONS = ["--format", "json", "--ps-tree-cmd", "--files", "--sockets"]
_TIMEOUT = 600.0
_MAX_NODES = 100000
_TYPES = {"REG": "regular", "INETSK": "inet", "UNIXSK": "unix", "": "directory"}


def inspect(run: Run, program: str, path: str) -> JsonDict:
    """Processes, open files and sockets; RuntimeToolError if the program fails or answers something else."""
    rc, out, err = run([program, "inspect", *_OPTIONS, path], _TIMEOUT)
    if rc != 0:
        words = err.strip().splitlines()
        raise RuntimeToolError("checkpointctl failed (exit status %d): %s" % (rc, words[-1][-300:] if words else ""))
    try:
        answer = json.loads(out)
        node = answer[0] if isinstance(answer, list) else answer
        return {
            "processes": list(_processes(node.get("process_tree"))),
            "open_files": list(_open_files(node.get("file_descriptors") or [])),
            "sockets": list(_sockets(node.get("sockets") or [])),
        }
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
        raise RuntimeToolError("checkpointctl did not answer with the JSON that it is known to write") from None


def _text(value: t.Any) -> t.Optional[str]:
    return value if isinstance(value, str) and value else None


def _processes(root: t.Any) -> t.Iterator[JsonDict]:
    """The tree as a list, parents before their children."""
    stack = [(root, 0)] if root else []
    count = 0
    while stack:
        node, parent = stack.pop()
        count += 1
        if count > _MAX_NODES:
            raise ValueError("too many processes")
        yield {
            "pid": int(node["pid"]),
            "ppid": parent,
            "command": _text(node.get("command")) or "",
            "command_line": (_text(node.get("cmdline")) or "").strip(),
            # Versions that do not tell the state leave it out.
            "state": (_text(node.get("task_state")) or "unknown").lower(),
            "threads": None,
        }
        stack.extend((child, int(node["pid"])) for child in reversed(node.get("children") or []))


def _open_files(tables: t.Sequence[t.Any]) -> t.Iterator[JsonDict]:
    for table in tables:
        for entry in table.get("open_files") or []:
            kind = _text(entry.get("type")) or ""
            yield {
                "pid": int(table["pid"]),
                # It writes the type into this field, too: "REG 0".
                "fd": (_text(entry.get("fd")) or "").rpartition(" ")[2],
                "type": _TYPES.get(kind, kind.lower()),
                "path": _text(entry.get("path")),
            }


def _sockets(tables: t.Sequence[t.Any]) -> t.Iterator[JsonDict]:
    for table in tables:
        for entry in table.get("open_sockets") or []:
            data = entry.get("data") or {}
            yield {
                "pid": int(table["pid"]),
                "fd": None,
                "protocol": (_text(entry.get("protocol")) or _text(data.get("type")) or "unknown").lower(),
                "state": _text(data.get("state")),
                "source": _address(data, "src") or _text(data.get("address")),
                "destination": _address(data, "dst"),
            }


def _address(data: t.Mapping[str, t.Any], which: str) -> t.Optional[str]:
    host = _text(data.get(which))
    if host is None:
        return None
    return ("[%s]:%d" if ":" in host else "%s:%d") % (host, data.get(which + "_port") or 0)
