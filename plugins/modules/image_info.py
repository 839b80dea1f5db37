#!/usr/bin/python
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_info
short_description: Read checkpoint images back from a registry
version_added: 0.1.0
author:
  - The container_checkpoint.kubernetes contributors (@container-checkpoint)
description:
  - Says what a registry holds under a name, from the manifest that it hands out.
  - With O(verify=true), every blob is read to its end, hashed, and compared with the manifest. Nothing of it is kept.
extends_documentation_fragment:
  - container_checkpoint.kubernetes._attributes
  - container_checkpoint.kubernetes._attributes.info_module
  - container_checkpoint.kubernetes._attributes.actiongroup_registry
  - container_checkpoint.kubernetes._registry
options:
  name:
    description:
      - An image, V(host[:port]/repository:tag) or V(host[:port]/repository@sha256:…); or a repository, V(host[:port]/repository).
    type: str
    required: true
  newest:
    description:
      - Of a repository, describe so many of its tags, the last ones in the order of the alphabet. The role C(checkpoint) gives tags that begin
        with the time.
    type: int
    default: 1
  verify:
    description:
      - Read all blobs back, and fail unless each is what the manifest says.
    type: bool
    default: false
  privileges:
    description:
      - Read each image's layer, and say what the processes in the checkpoint may do. Nothing of it is kept.
      - A layer that is compressed with zstd needs the program C(zstd).
    type: bool
    default: false
seealso:
  - module: container_checkpoint.kubernetes.image
"""

EXAMPLES = r"""
- name: Does the registry have what was pushed?
  container_checkpoint.kubernetes.image_info:
    name: "{{ pushed.image }}"
    verify: true
    auth_file: /root/.config/containers/auth.json

- name: When was this container last backed up?
  container_checkpoint.kubernetes.image_info:
    name: registry.example.com/checkpoints/shop/cart-0/cart
  register: last

- name: Show it
  ansible.builtin.debug:
    msg: "{{ last.images | map(attribute='annotations') | map(attribute='org.opencontainers.image.created') }}"
"""

RETURN = r"""
images:
  description: One entry for each image that is there, in the order of their tags. What is not there has none.
  returned: always
  type: list
  elements: dict
  contains:
    image:
      description: The image by digest.
      type: str
      sample: registry.example.com/checkpoints/counter@sha256:b7ecf339f3f124bb4d69a15ff275d2ce77ee91e737e4ae5fa381221756f88301
    tag:
      description: The tag under which it was asked for, V(null) where it was asked for by digest.
      type: str
      sample: 20261121T115544Z-5b612a5c0b54
    digest:
      description: The manifest's digest.
      type: str
      sample: sha256:b7ecf339f3f124bb4d69a15ff275d2ce77ee91e737e4ae5fa381221756f88301
    bytes:
      description: Bytes of all blobs.
      type: int
      sample: 265411
    blobs:
      description: Digest and size of each blob, the configuration first.
      type: list
      elements: dict
      sample:
        - {digest: "sha256:dfa8781def41406181115914b432173f6aad2103bb530cf8680269927209f1e0", size: 195}
    annotations:
      description: The manifest's annotations.
      type: dict
      sample: {org.criu.checkpoint.container.name: counter}
    verified:
      description: V(true) if every blob was read back and is right, V(null) if that was not asked for.
      type: bool
      sample: true
    privileges:
      description: What the processes in the checkpoint may do, as M(container_checkpoint.kubernetes.image) returns it; V(null) if that was not asked for.
      type: dict
      sample: null
tags:
  description: All tags of the repository, sorted; empty where one image was asked for.
  returned: always
  type: list
  elements: str
  sample: []
msg:
  description: A summary, or why it failed.
  returned: always
  type: str
  sample: 1 image read back
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _argspec_registry, _image_info
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._command import CommandRunner
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis import diagnose
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError, InputError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._module import fail
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._names import ImageReference
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._registry_connect import (
    registry_for,
    sender_for,
)


def argument_spec() -> dict[str, dict[str, t.Any]]:
    """All options."""
    return dict(
        _argspec_registry.registry_argument_spec(),
        name={"type": "str", "required": True},
        newest={"type": "int", "default": 1},
        verify={"type": "bool", "default": False},
        privileges={"type": "bool", "default": False},
    )


def look(params: t.Mapping[str, t.Any], result: t.Dict[str, t.Any], runner: t.Optional[CommandRunner] = None) -> None:
    """Fill the result. runner: for the program zstd."""
    name = ImageReference.parse(params["name"])
    if not name.host:
        raise InputError("name %r must begin with the registry's host" % params["name"])
    if params["newest"] < 0:
        raise InputError("newest is %d; it must not be negative" % params["newest"])
    registry = registry_for(params, name, sender_for(params))
    registry.connect()
    wanted = name.digest or name.tag
    if wanted is None:
        result["tags"] = _image_info.list_tags(registry)
        references = result["tags"][len(result["tags"]) - min(params["newest"], len(result["tags"])) :]
    else:
        references = [wanted]
    for reference in references:
        image = _image_info.describe(registry, reference)
        if image is None and (params["verify"] or params.get("privileges")):
            raise InputError("%s is not in the registry" % params["name"])
        if image is None:
            continue
        image["image"] = "%s@%s" % (name.name, image["digest"])
        result["images"].append(image)
        if params["verify"]:
            _image_info.verify(registry, image)
        if params.get("privileges") and runner is not None:
            image["privileges"] = _image_info.privileges(registry, image["image"], runner.find, runner.run_with_pipes)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=argument_spec(),
        supports_check_mode=True,
        mutually_exclusive=list(_argspec_registry.REGISTRY_MUTUALLY_EXCLUSIVE),
        required_together=list(_argspec_registry.REGISTRY_REQUIRED_TOGETHER),
        required_by=_argspec_registry.REGISTRY_REQUIRED_BY,
    )
    result: t.Dict[str, t.Any] = {"images": [], "tags": []}
    try:
        look(module.params, result, CommandRunner(module))
    except CheckpointError as exc:
        # No kubelet, runtime or CRIU speaks here: only what any program may run into applies.
        exc.details.setdefault("diagnosis", [row for row in diagnose(exc.msg) if "any" in row["where"]])
        fail(module, exc, **result)
    done = "read back" if module.params["verify"] else "found"
    module.exit_json(changed=False, msg="%d images %s" % (len(result["images"]), done), **result)


if __name__ == "__main__":
    main()
