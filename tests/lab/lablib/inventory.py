# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory of a lab: what playbooks need to know, and nothing that a real inventory would not also say."""

from __future__ import annotations

import json
import typing as t

from . import registry, shell
from .host import Host
from .state import Lab


def build(host: Host, lab: Lab) -> dict[str, t.Any]:
    """Nodes by ssh, this machine as the controller."""
    known = f"{lab.state}/known_hosts"
    options = f"-F none -o UserKnownHostsFile={known} -o IdentitiesOnly=yes -o ServerAliveInterval=5 -o ServerAliveCountMax=2"
    nodes = {
        node.name: {"ansible_host": node.address, "lab_pod_subnet": node.pod_subnet, "lab_number": node.number}
        for node in lab.nodes
    }
    variables: dict[str, t.Any] = {
        "lab_name": lab.name,
        "lab_state": lab.state,
        "lab_suite": lab.suite,
        "lab_gateway": lab.gateway,
        "lab_cluster": lab.cluster,
        # What the machine below the nodes lacks (see tests/lab/README.md).
        "container_runtime_restrict_oom_score_adj": not host.cap_sys_resource,
        "container_runtime_systemd_cgroup": host.cgroup2_usable,
        "container_runtime_restore": True,
    }
    if lab.cluster:
        variables.update(
            lab_checkpoint_registry=registry.name("checkpoints"),
            lab_base_registry=registry.name("base"),
            lab_registry_ca=f"{lab.state}/ca.crt",
            lab_registry_auth_file=f"{lab.state}/auth.json",
            lab_registry_user=registry.USER,
            lab_registry_password_file=registry.password_path(lab),
            lab_kubeconfig=f"{lab.state}/kubeconfig",
            lab_kubelet_token_file=f"{lab.state}/kubelet-token",
            container_runtime_sandbox_image=f"{registry.name('base')}/pause:1",
            container_runtime_registries=[
                {
                    "name": registry.name("checkpoints"),
                    "username": registry.USER,
                    "password": "{{ lookup('ansible.builtin.file', lab_registry_password_file) }}",
                }
            ],
        )
    connection = {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": f"{lab.state}/ssh_key",
        "ansible_ssh_common_args": options,
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_pipelining": True,
    }
    controller = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    return {
        "all": {
            "vars": variables,
            "children": {
                "kube_control_plane": {"hosts": {"localhost": controller}},
                "kube_node": {"hosts": nodes, "vars": connection},
            },
        }
    }


def write(host: Host, lab: Lab) -> None:
    """Write C(inventory.yml) (JSON is YAML)."""
    shell.write_file(f"{lab.state}/inventory.yml", json.dumps(build(host, lab), indent=2) + "\n")
