# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The field names of kubeadm's configuration types, v1beta3 and v1beta4, and a check of documents against them.

A leaf is None (anything), "map" (names to strings), "list" (of strings) or "args" (names and values). The names are those of the
public types; a document with another one is refused, as 'kubeadm config validate' refuses it.
"""

from __future__ import annotations

VOLUME = {"name": None, "hostPath": None, "mountPath": None, "readOnly": None, "pathType": None}
TAINT = {"key": None, "value": None, "effect": None, "timeAdded": None}
TOKEN = {"token": None, "description": None, "ttl": None, "expires": None, "usages": "list", "groups": "list"}
ENDPOINT = {"advertiseAddress": None, "bindPort": None}
PATCHES = {"directory": None}
IMAGE = {"imageRepository": None, "imageTag": None}
TIMEOUTS = dict.fromkeys(
    (
        "controlPlaneComponentHealthCheck",
        "kubeletHealthCheck",
        "kubernetesAPICall",
        "etcdAPICall",
        "tlsBootstrap",
        "discovery",
        "upgradeManifests",
    )
)


def kinds(api_version: str) -> dict:
    """The types of one API version."""
    new = api_version.endswith("v1beta4")
    args = "args" if new else "map"
    envs = {"extraEnvs": [{"name": None, "value": None, "valueFrom": None}]} if new else {}
    component = {"extraArgs": args, "extraVolumes": [VOLUME], **envs}
    registration = {
        "name": None,
        "criSocket": None,
        "taints": [TAINT],
        "kubeletExtraArgs": args,
        "ignorePreflightErrors": "list",
        "imagePullPolicy": None,
        **({"imagePullSerial": None} if new else {}),
    }
    common = {"nodeRegistration": registration, "skipPhases": "list", "patches": PATCHES}
    newer = {"dryRun": None, "timeouts": TIMEOUTS} if new else {}
    local = {**IMAGE, "dataDir": None, "extraArgs": args, **envs, "serverCertSANs": "list", "peerCertSANs": "list"}
    external = {"endpoints": "list", "caFile": None, "certFile": None, "keyFile": None}
    bootstrap = {"token": None, "apiServerEndpoint": None, "caCertHashes": "list", "unsafeSkipCAVerification": None}
    return {
        "InitConfiguration": {**common, **newer, "bootstrapTokens": [TOKEN], "localAPIEndpoint": ENDPOINT, "certificateKey": None},
        "ClusterConfiguration": {
            "etcd": {"local": local, "external": external},
            "networking": {"serviceSubnet": None, "podSubnet": None, "dnsDomain": None},
            "kubernetesVersion": None,
            "controlPlaneEndpoint": None,
            "apiServer": {**component, "certSANs": "list", **({} if new else {"timeoutForControlPlane": None})},
            "controllerManager": component,
            "scheduler": component,
            "dns": {**IMAGE, **({"disabled": None} if new else {})},
            **({"proxy": {"disabled": None}, "encryptionAlgorithm": None} if new else {}),
            **({"certificateValidityPeriod": None, "caCertificateValidityPeriod": None} if new else {}),
            "certificatesDir": None,
            "imageRepository": None,
            "featureGates": None,
            "clusterName": None,
        },
        "JoinConfiguration": {
            **common,
            **newer,
            "caCertPath": None,
            "discovery": {
                "bootstrapToken": bootstrap,
                "file": {"kubeConfigPath": None},
                "tlsBootstrapToken": None,
                **({} if new else {"timeout": None}),
            },
            "controlPlane": {"localAPIEndpoint": ENDPOINT, "certificateKey": None},
        },
    }


def readable(minor: int) -> list[str]:
    """What kubeadm 1.minor reads."""
    return ["kubeadm.k8s.io/v1beta3"] * (22 <= minor <= 36) + ["kubeadm.k8s.io/v1beta4"] * (minor >= 31)


def _compare(value: object, shape: object, path: str) -> list[str]:
    if shape is None:
        return []
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return ["%s: an object is expected" % path]
        found = []
        for name, entry in value.items():
            here = "%s.%s" % (path, name)
            found += _compare(entry, shape[name], here) if name in shape else ['unknown field "%s"' % here]
        return found
    if shape == "map":
        good = isinstance(value, dict) and all(isinstance(entry, str) for entry in value.values())
        return [] if good else ["%s: a map of strings is expected" % path]
    if not isinstance(value, list):
        return ["%s: a list is expected" % path]
    if shape == "list":
        return [] if all(isinstance(entry, str) for entry in value) else ["%s: strings are expected" % path]
    inner = {"name": None, "value": None} if shape == "args" else shape[0]
    found = [problem for number, entry in enumerate(value) for problem in _compare(entry, inner, "%s[%d]" % (path, number))]
    if shape == "args" and not found:
        found = ["%s: names and values must be strings" % path for entry in value if not all(isinstance(one, str) for one in entry.values())]
    return found


def problems(documents: list, minor: int, kubelet_fields: set[str]) -> list[str]:
    """What kubeadm 1.minor has against these documents."""
    found = []
    for document in documents:
        api, kind = document.get("apiVersion"), document.get("kind")
        body = {name: value for name, value in document.items() if name not in ("apiVersion", "kind")}
        if kind == "KubeletConfiguration" and api == "kubelet.config.k8s.io/v1beta1":
            found += ['unknown field "%s"' % name for name in sorted(set(body) - kubelet_fields)]
        elif api not in readable(minor):
            found.append("no kind %s is registered for version %s" % (kind, api))
        elif kind not in kinds(api):
            found.append("no kind %s is registered for version %s" % (kind, api))
        else:
            found += _compare(body, kinds(api)[kind], kind)
    return found
