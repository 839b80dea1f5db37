# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The C(containerd_config) filter: settings of containerd in the words of another version of its configuration."""

from __future__ import annotations

DOCUMENTATION = r"""
name: containerd_config
short_description: Write settings of containerd in the version of its configuration that a node uses
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Takes settings as containerd's configuration version 3 names them, and names them as another version does.
  - containerd before 2.4 merges the files that its main file imports as they are, and reads the outcome as what the
    last of them says it is. A drop-in of version 3 below a main file of version 2 therefore makes it ignore what the
    main file says about containers and images. So a drop-in must be of the same version as the file that imports it.
  - Settings that version 2 has no name for stay where version 3 has them; containerd finds them there, too.
positional: _input, version
options:
  _input:
    description: The settings, in version 3.
    type: dictionary
    required: true
  version:
    description: The version to write, 2 or later.
    type: int
    default: 3
"""

EXAMPLES = r"""
- name: A drop-in for a main file of version 2
  ansible.builtin.copy:
    dest: /etc/containerd/conf.d/50-example.toml
    content: >-
      {{ settings | container_checkpoint.kubernetes.containerd_config(2) | container_checkpoint.kubernetes.to_toml }}
    mode: "0644"
  vars:
    settings:
      plugins:
        io.containerd.cri.v1.runtime:
          enable_criu: true
"""

RETURN = r"""
_value:
  description: The settings, with the C(version).
  type: dictionary
"""

import copy
import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError
from ansible.module_utils.common.dict_transformations import dict_merge

_IMAGES = "io.containerd.cri.v1.images"
_RUNTIME = "io.containerd.cri.v1.runtime"
_OLD = "io.containerd.grpc.v1.cri"
# Where version 2 keeps what version 3 has among the images.
_OLD_IMAGES: dict[str, tuple[str, ...]] = {
    "registry": ("registry",),
    "image_decryption": ("image_decryption",),
    "max_concurrent_downloads": ("max_concurrent_downloads",),
    "image_pull_progress_timeout": ("image_pull_progress_timeout",),
    "image_pull_with_sync_fs": ("image_pull_with_sync_fs",),
    "stats_collect_period": ("stats_collect_period",),
    "snapshotter": ("containerd", "snapshotter"),
    "disable_snapshot_annotations": ("containerd", "disable_snapshot_annotations"),
    "discard_unpacked_layers": ("containerd", "discard_unpacked_layers"),
}


def _plain(value: t.Any) -> t.Any:
    """Dictionaries of our own, which can be changed."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return copy.copy(value)


def _as_version_2(plugins: dict[str, t.Any]) -> dict[str, t.Any]:
    """The tables of plugins with what concerns the CRI in one, as it was before version 3."""
    cri = dict_merge(plugins.pop(_OLD, {}), plugins.pop(_RUNTIME, {}))
    images = plugins.pop(_IMAGES, {})
    for key in [key for key in images if key in _OLD_IMAGES]:
        value = images.pop(key)
        for name in reversed(_OLD_IMAGES[key]):
            value = {name: value}
        cri = dict_merge(cri, value)
    pinned = images.get("pinned_images", {})
    if "sandbox" in pinned:
        cri["sandbox_image"] = pinned.pop("sandbox")
        if not pinned:
            del images["pinned_images"]
    return {**plugins, **({_OLD: cri} if cri else {}), **({_IMAGES: images} if images else {})}


def containerd_config(settings: t.Any, version: t.Any = 3) -> dict[str, t.Any]:
    """The settings in the words of that version."""
    if not isinstance(settings, Mapping):
        raise AnsibleFilterError("containerd_config needs a dictionary, not %s" % type(settings).__name__)
    try:
        number = int(version)
    except (TypeError, ValueError):
        number = 0
    if number < 2:
        raise AnsibleFilterError("containerd_config writes version 2 and later, not %r" % (version,))
    found = _plain(settings)
    if number == 2 and isinstance(found.get("plugins"), dict):
        found["plugins"] = _as_version_2(found["plugins"])
    return {"version": number, **{key: value for key, value in found.items() if key != "version"}}


class FilterModule:
    """Entry point for ansible-core."""

    def filters(self) -> dict[str, t.Callable]:
        """The one filter of this file."""
        return {"containerd_config": containerd_config}
