# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages of the CRI v1 API that the doubles use, as data, turned into protobuf classes at import.

Field numbers and types are facts read in kubernetes/cri-api, pkg/apis/runtime/v1/api.proto, v0.37.0-beta.0
(commit 791729b255f0); only the messages we send or read are here, without the Windows ones and without fields newer
than what crictl 1.36 prints. Unknown fields that a runtime sends are kept by protobuf and ignored by us.

Notation, one field a word: ``name:type=number``; ``type*`` is repeated, ``map`` is ``map<string, string>``; a type that
is no scalar is a message or an enum of this file.
"""

from __future__ import annotations

import typing as t

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "runtime.v1"

ENUMS: dict[str, str] = {
    "Protocol": "TCP UDP SCTP",
    "MountPropagation": "PROPAGATION_PRIVATE PROPAGATION_HOST_TO_CONTAINER PROPAGATION_BIDIRECTIONAL",
    "NamespaceMode": "POD CONTAINER NODE TARGET",
    "SupplementalGroupsPolicy": "Merge Strict",
    "ProfileType": "RuntimeDefault Unconfined Localhost",
    "PodSandboxState": "SANDBOX_READY SANDBOX_NOTREADY",
    "ContainerState": "CONTAINER_CREATED CONTAINER_RUNNING CONTAINER_EXITED CONTAINER_UNKNOWN",
    "CgroupDriver": "SYSTEMD CGROUPFS",
    # Only the value that containers without a stop signal of their own report; any other prints as its number.
    "Signal": "RUNTIME_DEFAULT",
}

MESSAGES: dict[str, str] = {
    "VersionRequest": "version:string=1",
    "VersionResponse": "version:string=1 runtime_name:string=2 runtime_version:string=3 runtime_api_version:string=4",
    "StatusRequest": "verbose:bool=1",
    "RuntimeCondition": "type:string=1 status:bool=2 reason:string=3 message:string=4",
    "RuntimeStatus": "conditions:RuntimeCondition*=1",
    "RuntimeHandlerFeatures": "recursive_read_only_mounts:bool=1 user_namespaces:bool=2",
    "RuntimeHandler": "name:string=1 features:RuntimeHandlerFeatures=2",
    "RuntimeFeatures": "supplemental_groups_policy:bool=1",
    "StatusResponse": "status:RuntimeStatus=1 info:map=2 runtime_handlers:RuntimeHandler*=3 features:RuntimeFeatures=4",
    "RuntimeConfigRequest": "",
    "LinuxRuntimeConfiguration": "cgroup_driver:CgroupDriver=1",
    "RuntimeConfigResponse": "linux:LinuxRuntimeConfiguration=1",
    # --- shared pieces
    "DNSConfig": "servers:string*=1 searches:string*=2 options:string*=3",
    "PortMapping": "protocol:Protocol=1 container_port:int32=2 host_port:int32=3 host_ip:string=4",
    "IDMapping": "host_id:uint32=1 container_id:uint32=2 length:uint32=3",
    "Mount": "container_path:string=1 host_path:string=2 readonly:bool=3 selinux_relabel:bool=4"
    " propagation:MountPropagation=5 uidMappings:IDMapping*=6 gidMappings:IDMapping*=7"
    " recursive_read_only:bool=8 image:ImageSpec=9 image_sub_path:string=10",
    "UserNamespace": "mode:NamespaceMode=1 uids:IDMapping*=2 gids:IDMapping*=3",
    "NamespaceOption": "network:NamespaceMode=1 pid:NamespaceMode=2 ipc:NamespaceMode=3 target_id:string=4"
    " userns_options:UserNamespace=5",
    "Int64Value": "value:int64=1",
    "UInt64Value": "value:uint64=1",
    "SELinuxOption": "user:string=1 role:string=2 type:string=3 level:string=4",
    "SecurityProfile": "profile_type:ProfileType=1 localhost_ref:string=2",
    "KeyValue": "key:string=1 value:string=2",
    "HugepageLimit": "page_size:string=1 limit:uint64=2",
    "LinuxContainerResources": "cpu_period:int64=1 cpu_quota:int64=2 cpu_shares:int64=3 memory_limit_in_bytes:int64=4"
    " oom_score_adj:int64=5 cpuset_cpus:string=6 cpuset_mems:string=7"
    " hugepage_limits:HugepageLimit*=8 unified:map=9 memory_swap_limit_in_bytes:int64=10",
    # --- sandboxes
    "LinuxSandboxSecurityContext": "namespace_options:NamespaceOption=1 selinux_options:SELinuxOption=2"
    " run_as_user:Int64Value=3 readonly_rootfs:bool=4 supplemental_groups:int64*=5"
    " privileged:bool=6 seccomp_profile_path:string=7 run_as_group:Int64Value=8"
    " seccomp:SecurityProfile=9 apparmor:SecurityProfile=10"
    " supplemental_groups_policy:SupplementalGroupsPolicy=11",
    "LinuxPodSandboxConfig": "cgroup_parent:string=1 security_context:LinuxSandboxSecurityContext=2 sysctls:map=3"
    " overhead:LinuxContainerResources=4 resources:LinuxContainerResources=5",
    "PodSandboxMetadata": "name:string=1 uid:string=2 namespace:string=3 attempt:uint32=4",
    "PodSandboxConfig": "metadata:PodSandboxMetadata=1 hostname:string=2 log_directory:string=3 dns_config:DNSConfig=4"
    " port_mappings:PortMapping*=5 labels:map=6 annotations:map=7 linux:LinuxPodSandboxConfig=8",
    "RunPodSandboxRequest": "config:PodSandboxConfig=1 runtime_handler:string=2",
    "RunPodSandboxResponse": "pod_sandbox_id:string=1",
    "StopPodSandboxRequest": "pod_sandbox_id:string=1",
    "StopPodSandboxResponse": "",
    "RemovePodSandboxRequest": "pod_sandbox_id:string=1",
    "RemovePodSandboxResponse": "",
    "PodSandboxStatusRequest": "pod_sandbox_id:string=1 verbose:bool=2",
    "PodIP": "ip:string=1",
    "PodSandboxNetworkStatus": "ip:string=1 additional_ips:PodIP*=2",
    "Namespace": "options:NamespaceOption=2",
    "LinuxPodSandboxStatus": "namespaces:Namespace=1",
    "PodSandboxStatus": "id:string=1 metadata:PodSandboxMetadata=2 state:PodSandboxState=3 created_at:int64=4"
    " network:PodSandboxNetworkStatus=5 linux:LinuxPodSandboxStatus=6 labels:map=7"
    " annotations:map=8 runtime_handler:string=9",
    "PodSandboxStatusResponse": "status:PodSandboxStatus=1 info:map=2 containers_statuses:ContainerStatus*=3"
    " timestamp:int64=4",
    "PodSandboxStateValue": "state:PodSandboxState=1",
    "PodSandboxFilter": "id:string=1 state:PodSandboxStateValue=2 label_selector:map=3",
    "ListPodSandboxRequest": "filter:PodSandboxFilter=1",
    "PodSandbox": "id:string=1 metadata:PodSandboxMetadata=2 state:PodSandboxState=3 created_at:int64=4 labels:map=5"
    " annotations:map=6 runtime_handler:string=7",
    "ListPodSandboxResponse": "items:PodSandbox*=1",
    # --- containers
    "ImageSpec": "image:string=1 annotations:map=2 user_specified_image:string=18 runtime_handler:string=19"
    " image_ref:string=20",
    "Capability": "add_capabilities:string*=1 drop_capabilities:string*=2 add_ambient_capabilities:string*=3",
    "LinuxContainerSecurityContext": "capabilities:Capability=1 privileged:bool=2 namespace_options:NamespaceOption=3"
    " selinux_options:SELinuxOption=4 run_as_user:Int64Value=5"
    " run_as_username:string=6 readonly_rootfs:bool=7 supplemental_groups:int64*=8"
    " apparmor_profile:string=9 seccomp_profile_path:string=10 no_new_privs:bool=11"
    " run_as_group:Int64Value=12 masked_paths:string*=13 readonly_paths:string*=14"
    " seccomp:SecurityProfile=15 apparmor:SecurityProfile=16"
    " supplemental_groups_policy:SupplementalGroupsPolicy=17",
    "LinuxContainerConfig": "resources:LinuxContainerResources=1 security_context:LinuxContainerSecurityContext=2",
    "LinuxContainerUser": "uid:int64=1 gid:int64=2 supplemental_groups:int64*=3",
    "ContainerMetadata": "name:string=1 attempt:uint32=2",
    "Device": "container_path:string=1 host_path:string=2 permissions:string=3",
    "ContainerConfig": "metadata:ContainerMetadata=1 image:ImageSpec=2 command:string*=3 args:string*=4"
    " working_dir:string=5 envs:KeyValue*=6 mounts:Mount*=7 devices:Device*=8 labels:map=9"
    " annotations:map=10 log_path:string=11 stdin:bool=12 stdin_once:bool=13 tty:bool=14"
    " linux:LinuxContainerConfig=15 stop_signal:Signal=18",
    "CreateContainerRequest": "pod_sandbox_id:string=1 config:ContainerConfig=2 sandbox_config:PodSandboxConfig=3",
    "CreateContainerResponse": "container_id:string=1",
    "StartContainerRequest": "container_id:string=1",
    "StartContainerResponse": "",
    "StopContainerRequest": "container_id:string=1 timeout:int64=2",
    "StopContainerResponse": "",
    "RemoveContainerRequest": "container_id:string=1",
    "RemoveContainerResponse": "",
    "ContainerStateValue": "state:ContainerState=1",
    "ContainerFilter": "id:string=1 state:ContainerStateValue=2 pod_sandbox_id:string=3 label_selector:map=4",
    "ListContainersRequest": "filter:ContainerFilter=1",
    "Container": "id:string=1 pod_sandbox_id:string=2 metadata:ContainerMetadata=3 image:ImageSpec=4"
    " image_ref:string=5 state:ContainerState=6 created_at:int64=7 labels:map=8 annotations:map=9"
    " image_id:string=10",
    "ListContainersResponse": "containers:Container*=1",
    "ContainerStatusRequest": "container_id:string=1 verbose:bool=2",
    "ContainerResources": "linux:LinuxContainerResources=1",
    "ContainerUser": "linux:LinuxContainerUser=1",
    "ContainerStatus": "id:string=1 metadata:ContainerMetadata=2 state:ContainerState=3 created_at:int64=4"
    " started_at:int64=5 finished_at:int64=6 exit_code:int32=7 image:ImageSpec=8"
    " image_ref:string=9 reason:string=10 message:string=11 labels:map=12 annotations:map=13"
    " mounts:Mount*=14 log_path:string=15 resources:ContainerResources=16 image_id:string=17"
    " user:ContainerUser=18 stop_signal:Signal=19",
    "ContainerStatusResponse": "status:ContainerStatus=1 info:map=2",
    "ExecSyncRequest": "container_id:string=1 cmd:string*=2 timeout:int64=3",
    "ExecSyncResponse": "stdout:bytes=1 stderr:bytes=2 exit_code:int32=3",
    "CheckpointContainerRequest": "container_id:string=1 location:string=2 timeout:int64=3",
    "CheckpointContainerResponse": "",
    # --- statistics
    "ContainerAttributes": "id:string=1 metadata:ContainerMetadata=2 labels:map=3 annotations:map=4",
    "CpuUsage": "timestamp:int64=1 usage_core_nano_seconds:UInt64Value=2 usage_nano_cores:UInt64Value=3",
    "MemoryUsage": "timestamp:int64=1 working_set_bytes:UInt64Value=2 available_bytes:UInt64Value=3"
    " usage_bytes:UInt64Value=4 rss_bytes:UInt64Value=5 page_faults:UInt64Value=6"
    " major_page_faults:UInt64Value=7",
    "FilesystemIdentifier": "mountpoint:string=1",
    "FilesystemUsage": "timestamp:int64=1 fs_id:FilesystemIdentifier=2 used_bytes:UInt64Value=3"
    " inodes_used:UInt64Value=4",
    "SwapUsage": "timestamp:int64=1 swap_available_bytes:UInt64Value=2 swap_usage_bytes:UInt64Value=3",
    "ContainerStats": "attributes:ContainerAttributes=1 cpu:CpuUsage=2 memory:MemoryUsage=3"
    " writable_layer:FilesystemUsage=4 swap:SwapUsage=5",
    "ContainerStatsRequest": "container_id:string=1",
    "ContainerStatsResponse": "stats:ContainerStats=1",
    "ContainerStatsFilter": "id:string=1 pod_sandbox_id:string=2 label_selector:map=3",
    "ListContainerStatsRequest": "filter:ContainerStatsFilter=1",
    "ListContainerStatsResponse": "stats:ContainerStats*=1",
    # --- images
    "ImageFilter": "image:ImageSpec=1",
    "ListImagesRequest": "filter:ImageFilter=1",
    "Image": "id:string=1 repo_tags:string*=2 repo_digests:string*=3 size:uint64=4 uid:Int64Value=5 username:string=6"
    " spec:ImageSpec=7 pinned:bool=8",
    "ListImagesResponse": "images:Image*=1",
    "ImageStatusRequest": "image:ImageSpec=1 verbose:bool=2",
    "ImageStatusResponse": "image:Image=1 info:map=2",
    "AuthConfig": "username:string=1 password:string=2 auth:string=3 server_address:string=4 identity_token:string=5"
    " registry_token:string=6",
    "PullImageRequest": "image:ImageSpec=1 auth:AuthConfig=2 sandbox_config:PodSandboxConfig=3",
    "PullImageResponse": "image_ref:string=1",
    "RemoveImageRequest": "image:ImageSpec=1",
    "RemoveImageResponse": "",
}

RUNTIME_METHODS = (
    "Version Status RuntimeConfig RunPodSandbox StopPodSandbox RemovePodSandbox PodSandboxStatus ListPodSandbox"
    " CreateContainer StartContainer StopContainer RemoveContainer ListContainers ContainerStatus ExecSync"
    " CheckpointContainer ContainerStats ListContainerStats"
).split()
IMAGE_METHODS = "ListImages ImageStatus PullImage RemoveImage".split()

_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _FIELD.TYPE_STRING,
    "bytes": _FIELD.TYPE_BYTES,
    "bool": _FIELD.TYPE_BOOL,
    "int32": _FIELD.TYPE_INT32,
    "int64": _FIELD.TYPE_INT64,
    "uint32": _FIELD.TYPE_UINT32,
    "uint64": _FIELD.TYPE_UINT64,
}


def _add_field(message: t.Any, word: str) -> None:
    name, rest = word.split(":")
    kind, number = rest.split("=")
    field = message.field.add(name=name, number=int(number), label=_FIELD.LABEL_OPTIONAL)
    if kind.endswith("*"):
        kind, field.label = kind[:-1], _FIELD.LABEL_REPEATED
    if kind == "map":
        # protobuf's own rule for maps: a nested message named after the field in CamelCase plus Entry
        entry = "".join(part.capitalize() for part in name.split("_")) + "Entry"
        nested = message.nested_type.add(name=entry)
        nested.options.map_entry = True
        nested.field.add(name="key", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
        nested.field.add(name="value", number=2, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
        field.label, kind = _FIELD.LABEL_REPEATED, f"{message.name}.{entry}"
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = _FIELD.TYPE_ENUM if kind in ENUMS else _FIELD.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{kind}"


def _build() -> dict[str, t.Any]:
    file = descriptor_pb2.FileDescriptorProto(name="cri_double.proto", package=PACKAGE, syntax="proto3")
    for name, values in ENUMS.items():
        enum = file.enum_type.add(name=name)
        for number, value in enumerate(values.split()):
            enum.value.add(name=value, number=number)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for word in fields.split():
            _add_field(message, word)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    wanted = {name: pool.FindMessageTypeByName(f"{PACKAGE}.{name}") for name in MESSAGES}
    if hasattr(message_factory, "GetMessageClass"):
        return {name: message_factory.GetMessageClass(descriptor) for name, descriptor in wanted.items()}
    factory = message_factory.MessageFactory(pool)  # protobuf < 4.22
    return {name: factory.GetPrototype(descriptor) for name, descriptor in wanted.items()}


CLASSES = _build()


def message(name: str, **fields: t.Any) -> t.Any:
    """A message of the CRI by its name; nested messages may be given as dicts."""
    return CLASSES[name](**fields)
