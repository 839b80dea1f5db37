# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A double of CRI-O's program: it runs no container, but reads its configuration as the real one does.

crio --version | crio config | crio status config | crio (the service). Every call is written to /var/log/crio-double.log.
The main file, then the drop-ins in lexical order; a setting in a later file wins; a table of one OCI runtime is replaced whole.
What the service has in effect is what it read when it started, and only "status config" tells that.
"""

import glob
import json
import os
import signal
import sys
import tomllib

VERSION = open("/usr/share/crio-double/version", encoding="ascii").read().strip()
STATE = "/run/crio-double.json"
LOG = "/var/log/crio-double.log"
DEFAULTS = {
    "runtime": {
        "default_runtime": "crun",
        "drop_infra_ctr": True,
        "cgroup_manager": "systemd",
        "enable_criu_support": True,
        "runtimes": {},
    },
    "checkpoint_restore": {"container_level_enabled": "checkpoint_only"},
    "image": {"pause_image": "registry.k8s.io/pause:3.10.1", "signature_policy": ""},
}
LEVELS = ("none", "checkpoint_only", "checkpoint_restore")


def effective():
    """The defaults, then every file."""
    found = json.loads(json.dumps(DEFAULTS))
    for path in ["/etc/crio/crio.conf", *sorted(glob.glob("/etc/crio/crio.conf.d/*.conf"))]:
        if not os.path.exists(path):
            continue
        with open(path, "rb") as stream:
            tables = tomllib.load(stream).get("crio", {})
        for name, table in tables.items():
            runtimes = table.pop("runtimes", {}) if name == "runtime" else {}
            found.setdefault(name, {}).update(table)
            found["runtime"]["runtimes"].update(runtimes)
    level = found["checkpoint_restore"]["container_level_enabled"]
    if level not in LEVELS:
        sys.exit("invalid container_level_enabled %r: must be one of %s" % (level, ", ".join(LEVELS)))
    return found


def lines(config, comment_defaults):
    """TOML; with comments for defaults, as "crio config" prints it."""
    for name, table in config.items():
        yield "[crio.%s]" % name
        for key, value in table.items():
            if key != "runtimes":
                default = comment_defaults and DEFAULTS.get(name, {}).get(key) == value
                yield "%s%s = %s" % ("# " if default else "", key, json.dumps(value))
        for runtime, settings in table.get("runtimes", {}).items():
            yield "[crio.runtime.runtimes.%s]" % runtime
            yield from ("%s = %s" % (key, json.dumps(value)) for key, value in settings.items())


def main(words):
    """What the words ask for."""
    with open(LOG, "a", encoding="utf-8") as log:
        log.write(" ".join(["crio", *words]) + "\n")
    if words == ["--version"]:
        print("crio version %s" % VERSION)
    elif words == ["config"]:
        print("# The CRI-O configuration file specifies all of the available configuration options")
        print("\n".join(lines(effective(), True)))
    elif words == ["status", "--help"]:
        print("COMMANDS:\n   config, c  Show the configuration of CRI-O as a TOML string.")
    elif words == ["status", "config"]:
        with open(STATE, encoding="utf-8") as stream:
            print("\n".join(lines(json.load(stream), False)))
    elif not words:
        config = effective()
        with open(STATE, "w", encoding="utf-8") as stream:
            json.dump(config, stream)
        signal.pause()
    else:
        sys.exit("No help topic for %r" % words[0])


main(sys.argv[1:])
