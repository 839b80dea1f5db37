# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kubeadm of a version reads, which versions go together, and where the ContainerCheckpoint gate belongs.

PRIVATE to the collection. Pure functions behind the filters kubeadm_config, kubernetes_skew and checkpoint_gate.
"""

from __future__ import annotations

import re
import typing as t

GATE = "ContainerCheckpoint"
# The gate came with 1.25 (off) and is on by itself from 1.30; the newest release in which it was seen.
GATE_SINCE, GATE_SEEN = 25, 38
# kubeadm reads v1beta3 from 1.22 to 1.36 and v1beta4 from 1.31 on.
V1BETA3_SINCE, V1BETA4_SINCE = 22, 31
# From API server 1.28 on kubelets may be three minors older, before that two.
WIDE_SKEW_SINCE = 28
_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?(?:[-+].*)?")

Document = t.Dict[str, t.Any]


class KubernetesVersionError(ValueError):
    """A version, or versions together, that cannot be."""


def minor(version: t.Any) -> int:
    """The minor of a Kubernetes version 1.N or 1.N.P, with or without a v."""
    match = _VERSION.fullmatch(str(version).strip())
    if not match or match.group(1) != "1":
        raise KubernetesVersionError("%r is no version of Kubernetes: write it as 1.36 or v1.36.2" % str(version))
    return int(match.group(2))


def api_version(version: t.Any) -> str:
    """The configuration API to write for kubeadm of that version."""
    number = minor(version)
    if number < V1BETA3_SINCE:
        raise KubernetesVersionError("kubeadm %s is too old: its configuration v1beta3 came with 1.22" % version)
    return "kubeadm.k8s.io/" + ("v1beta4" if number >= V1BETA4_SINCE else "v1beta3")


def wants_gate(version: t.Any, mode: str, known: t.Optional[bool] = None) -> bool:
    """Whether the kubelet's configuration shall name the gate.

    known: whether the kubelet itself lists the gate; None when it could not be asked, then its version decides.
    """
    number = minor(version)
    # Before ansible-core 2.19 a template of none is an empty string.
    if known is None or known == "":
        known = GATE_SINCE <= number <= GATE_SEEN
    if mode == "always" and not known:
        raise KubernetesVersionError(
            "the kubelet %s does not know the feature gate %s%s, and does not start with a gate that it does not know"
            % (version, GATE, " (it came with 1.25)" if number < GATE_SINCE else "")
        )
    return mode == "always" or mode == "auto" and known


def skew_problems(
    kubelet: t.Any,
    api_server: t.Any = None,
    kubeadm: t.Any = None,
    kubectl: t.Any = None,
    installed: t.Any = None,
    member: bool = False,
) -> t.List[str]:
    """What Kubernetes' version skew policy has against these versions.

    installed: the kubelet that is there now. member: whether the node belongs to a cluster already.
    """
    found, wanted = [], minor(kubelet)
    if api_server:
        server = minor(api_server)
        if wanted > server:
            found.append(
                "a kubelet 1.%d is newer than the API server 1.%d: upgrade the control plane first" % (wanted, server)
            )
        allowed = 3 if server >= WIDE_SKEW_SINCE else 2
        if server - wanted > allowed:
            found.append(
                "a kubelet 1.%d is more than %d minors older than the API server 1.%d" % (wanted, allowed, server)
            )
        if kubeadm and minor(kubeadm) - server not in (0, 1):
            found.append(
                "kubeadm 1.%d manages control planes of 1.%d and 1.%d, not of 1.%d"
                % (minor(kubeadm), minor(kubeadm) - 1, minor(kubeadm), server)
            )
        if kubectl and abs(minor(kubectl) - server) > 1:
            found.append("kubectl 1.%d is more than one minor away from the API server 1.%d" % (minor(kubectl), server))
    if installed:
        now = minor(installed)
        if wanted < now:
            found.append("kubelet 1.%d is installed, and kubelets are not downgraded to 1.%d" % (now, wanted))
        elif member and wanted != now:
            found.append(
                "this node belongs to a cluster with kubelet 1.%d: change it to 1.%d with 'kubeadm upgrade'%s, not by"
                " installing packages"
                % (now, wanted, ", one minor after the other" if wanted - now > 1 else "")
            )
    return found


def extra_args(version: t.Any, arguments: t.Optional[t.Mapping[str, t.Any]]) -> t.Any:
    """Flags as that version's configuration wants them: a map, or from v1beta4 on a list of names and values."""
    given = {
        str(name): str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in (arguments or {}).items()
    }
    if api_version(version).endswith("v1beta3"):
        return given
    return [{"name": name, "value": value} for name, value in sorted(given.items())]


COMPONENTS = (("apiServer", "api_server"), ("controllerManager", "controller_manager"), ("scheduler", "scheduler"))


def refuse_gate(cluster: t.Mapping[str, t.Any]) -> None:
    """The gate is the kubelet's; elsewhere it does nothing today and stops the component once the gate is gone.

    cluster: the ClusterConfiguration as kubeadm will get it, with the fields that were merged into it.
    """
    for component, _name in COMPONENTS:
        given = (cluster.get(component) or {}).get("extraArgs") or {}
        pairs = given.items() if isinstance(given, dict) else [(one.get("name"), one.get("value")) for one in given]
        if any(name == "feature-gates" and GATE in str(value) for name, value in pairs):
            raise KubernetesVersionError(
                "the feature gate %s is for the kubelet only: take it out of the arguments of %s, where it does nothing"
                " and keeps it from starting once Kubernetes drops the gate" % (GATE, component)
            )


def _filled(document: Document) -> Document:
    """Without what is empty, at every depth; False and 0 stay."""
    result = {}
    for name, value in document.items():
        if isinstance(value, dict):
            value = _filled(value)
        if value is not None and value != "" and value != {} and value != []:
            result[name] = value
    return result


def _merged(base: t.Any, over: t.Any) -> t.Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{name: _merged(base.get(name), value) for name, value in over.items()}}
    return over


def _registration(settings: t.Mapping[str, t.Any]) -> Document:
    found = _filled(
        {
            "name": settings.get("node_name"),
            "criSocket": settings.get("cri_socket"),
            "kubeletExtraArgs": extra_args(settings["version"], settings.get("kubelet_extra_args")),
            "ignorePreflightErrors": settings.get("ignore_preflight_errors"),
        }
    )
    # An empty list means no taints, which is something else than none given.
    if settings.get("taints") not in (None, ""):
        found["taints"] = settings["taints"]
    return found


def _document(settings: t.Mapping[str, t.Any], kind: str, content: Document) -> Document:
    extra = (settings.get("extra") or {}).get(kind) or {}
    return {"apiVersion": api_version(settings["version"]), "kind": kind, **_merged(content, extra)}


def kubelet_configuration(settings: t.Mapping[str, t.Any]) -> Document:
    """The KubeletConfiguration, with the gate where it belongs."""
    found: Document = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"}
    if settings.get("cgroup_driver"):
        found["cgroupDriver"] = settings["cgroup_driver"]
    found = _merged(found, settings.get("kubelet") or {})
    if wants_gate(settings["version"], settings.get("gate", "auto"), settings.get("gate_known")):
        found = _merged({"featureGates": {GATE: True}}, found)
    return found


def init_documents(settings: t.Mapping[str, t.Any]) -> t.List[Document]:
    """What kubeadm init reads."""
    version = settings["version"]
    components = {
        field: {"extraArgs": extra_args(version, settings.get(name + "_extra_args"))} for field, name in COMPONENTS
    }
    components["apiServer"]["certSANs"] = settings.get("cert_sans")
    token = {
        "description": "made by kubeadm init, ends soon",
        "ttl": settings.get("token_ttl") or "15m0s",
        "usages": ["signing", "authentication"],
        "groups": ["system:bootstrappers:kubeadm:default-node-token"],
    }
    init = _filled(
        {
            "localAPIEndpoint": {
                "advertiseAddress": settings.get("advertise_address"),
                "bindPort": settings.get("bind_port"),
            },
            "patches": {"directory": settings.get("patches_directory")},
            "skipPhases": settings.get("skip_phases"),
        }
    )
    init["bootstrapTokens"] = [token]
    init["nodeRegistration"] = _registration(settings)
    networking = {
        "podSubnet": settings.get("pod_subnet"),
        "serviceSubnet": settings.get("service_subnet"),
        "dnsDomain": settings.get("dns_domain"),
    }
    cluster = _filled(
        {
            "clusterName": settings.get("cluster_name"),
            "controlPlaneEndpoint": settings.get("control_plane_endpoint"),
            "imageRepository": settings.get("image_repository"),
            "networking": networking,
            **components,
        }
    )
    cluster["kubernetesVersion"] = "v" + str(version).lstrip("v")
    cluster = _document(settings, "ClusterConfiguration", cluster)
    refuse_gate(cluster)
    return [
        _document(settings, "InitConfiguration", init),
        cluster,
        kubelet_configuration(settings),
    ]


def join_documents(settings: t.Mapping[str, t.Any]) -> t.List[Document]:
    """What kubeadm join reads."""
    join: Document = {
        "discovery": {
            "bootstrapToken": {
                "token": settings["token"],
                "apiServerEndpoint": settings["endpoint"],
                "caCertHashes": list(settings["ca_cert_hashes"]),
            }
        },
        "nodeRegistration": _registration(settings),
    }
    if settings.get("certificate_key"):
        endpoint = {"advertiseAddress": settings.get("advertise_address")}
        join["controlPlane"] = _filled({"certificateKey": settings["certificate_key"], "localAPIEndpoint": endpoint})
    if settings.get("patches_directory"):
        join["patches"] = {"directory": settings["patches_directory"]}
    return [_document(settings, "JoinConfiguration", join)]
