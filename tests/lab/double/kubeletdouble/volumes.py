# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pod's files on the node, in the kubelet's places: volumes, /etc/hosts, termination logs; and its environment.

Content of ConfigMaps, Secrets and tokens is written once, when the pod starts; it is not refreshed.
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import typing as t

from kubeletdouble.apiclient import ApiClient, ApiFailure
from kubeletdouble.settings import Settings
from kubeletdouble.spec import expand, hostname, quantity

PROPAGATION = {"None": 0, "HostToContainer": 1, "Bidirectional": 2}


class VolumeError(Exception):
    """A volume cannot be set up; str() is for the FailedMount event."""


def field(pod: dict, path: str, node_address: str = "") -> str:
    """The downward API's fields."""
    meta, spec = pod["metadata"], pod["spec"]
    simple = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": node_address,
        "status.podIP": pod.get("status", {}).get("podIP", ""),
    }
    if path in simple:
        return simple[path]
    for kind in ("labels", "annotations"):
        have = meta.get(kind) or {}
        if path == f"metadata.{kind}":
            return "".join(f'{key}="{value}"\n' for key, value in sorted(have.items()))
        if path.startswith(f"metadata.{kind}['"):
            return have.get(path[len(f"metadata.{kind}['") : -2], "")
    raise VolumeError(f"unsupported fieldPath: {path}")


class Volumes:
    def __init__(self, settings: Settings, api: ApiClient) -> None:
        self._settings = settings
        self._api = api

    # --- objects

    def _object(self, kind: str, pod: dict, name: str, optional: bool) -> dict[str, bytes]:
        """The data of a ConfigMap or Secret as bytes."""
        namespace = pod["metadata"]["namespace"]
        try:
            found = self._api.request("GET", f"/api/v1/namespaces/{namespace}/{kind}s/{name}")
        except ApiFailure as exc:
            if exc.code == 404 and optional:
                return {}
            raise VolumeError(str(exc)) from None
        data = {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}
        for key, value in (found.get("data") or {}).items():
            data[key] = base64.b64decode(value) if kind == "secret" else value.encode()
        return data

    def _selected(self, data: dict[str, bytes], items: t.Optional[list[dict]]) -> dict[str, bytes]:
        if not items:
            return data
        missing = [item["key"] for item in items if item["key"] not in data]
        if missing:
            raise VolumeError(f"references non-existent config key: {missing[0]}")
        return {item["path"]: data[item["key"]] for item in items}

    def _token(self, pod: dict, source: dict) -> bytes:
        meta, spec = pod["metadata"], pod["spec"]
        answer = self._api.request(
            "POST",
            f"/api/v1/namespaces/{meta['namespace']}/serviceaccounts/{spec['serviceAccountName']}/token",
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {
                    "expirationSeconds": source.get("expirationSeconds", 3600),
                    "audiences": [source["audience"]] if source.get("audience") else None,
                    "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]},
                },
            },
        )
        return answer["status"]["token"].encode()

    def _content(self, pod: dict, source: dict) -> dict[str, bytes]:
        """The files of one source of a projected volume, or of a volume that has one kind of source."""
        if "serviceAccountToken" in source:
            return {source["serviceAccountToken"]["path"]: self._token(pod, source["serviceAccountToken"])}
        if "downwardAPI" in source:
            return {
                item["path"]: field(pod, item["fieldRef"]["fieldPath"], self._settings.address).encode()
                for item in source["downwardAPI"].get("items") or []
            }
        for kind, name_field in (("configMap", "name"), ("secret", "name"), ("secret", "secretName")):
            if kind in source and source[kind].get(name_field):
                entry = source[kind]
                data = self._object(kind.lower(), pod, entry[name_field], bool(entry.get("optional")))
                return self._selected(data, entry.get("items"))
        raise VolumeError(f"the double does not imitate this source: {sorted(source)}")

    # --- volumes

    def prepare(self, pod: dict) -> dict[str, str]:
        """Make all volumes; returns name -> path on the node."""
        return {volume["name"]: self._volume(pod, volume) for volume in pod["spec"].get("volumes") or []}

    def _volume(self, pod: dict, volume: dict) -> str:
        if "hostPath" in volume:
            return self._host_path(volume["hostPath"])
        kind = next((k for k in ("emptyDir", "projected", "configMap", "secret", "downwardAPI") if k in volume), None)
        if kind is None:
            raise VolumeError(
                f'volume "{volume["name"]}": the double does not imitate {sorted(set(volume) - {"name"})}'
            )
        plugin = {"emptyDir": "empty-dir", "configMap": "configmap", "downwardAPI": "downward-api"}.get(kind, kind)
        path = os.path.join(
            self._settings.pod_directory(pod["metadata"]["uid"]), "volumes", f"kubernetes.io~{plugin}", volume["name"]
        )
        if kind == "emptyDir":
            os.makedirs(path, exist_ok=True)
            os.chmod(path, 0o777)
            return path
        if not os.path.exists(path):
            sources = volume["projected"].get("sources") or [] if kind == "projected" else [{kind: volume[kind]}]
            files: dict[str, bytes] = {}
            for source in sources:
                files.update(self._content(pod, source))
            write_atomically(path, files, volume[kind].get("defaultMode", 0o644))
        return path

    def _host_path(self, source: dict) -> str:
        path, kind = source["path"], source.get("type") or ""
        if kind == "DirectoryOrCreate":
            os.makedirs(path, mode=0o755, exist_ok=True)
        elif kind == "FileOrCreate" and not os.path.exists(path):
            with open(path, "a", encoding="utf-8"):
                pass
        elif kind in ("Directory", "File") and not {"Directory": os.path.isdir, "File": os.path.isfile}[kind](path):
            raise VolumeError(f"hostPath type check failed: {path} is not a {kind.lower()}")
        return path

    def mounts(self, pod: dict, container: dict, paths: dict[str, str]) -> list[dict]:
        """The container's mounts, in the kubelet's order: volumes, /etc/hosts, termination log."""
        result = []
        for mount in container.get("volumeMounts") or []:
            path = paths[mount["name"]]
            sub = mount.get("subPath", "")
            if sub:
                if os.path.isabs(sub) or ".." in sub.split("/"):
                    raise VolumeError(f"subPath {sub}: must be a relative path without '..'")
                path = os.path.join(path, sub)
                if not os.path.exists(path):
                    os.makedirs(path, mode=0o750)
            result.append(
                {
                    "container_path": mount["mountPath"],
                    "host_path": path,
                    "readonly": bool(mount.get("readOnly")),
                    "propagation": PROPAGATION[mount.get("mountPropagation", "None")],
                }
            )
        directory = self._settings.pod_directory(pod["metadata"]["uid"])
        if not any(mount["container_path"] == "/etc/hosts" for mount in result):
            result.append({"container_path": "/etc/hosts", "host_path": self._hosts(pod, directory)})
        log = os.path.join(directory, "containers", container["name"], secrets.token_hex(4))
        os.makedirs(os.path.dirname(log), mode=0o750, exist_ok=True)
        with open(log, "w", encoding="utf-8"):
            os.chmod(log, 0o666)
        result.append(
            {"container_path": container.get("terminationMessagePath", "/dev/termination-log"), "host_path": log}
        )
        return result

    def _hosts(self, pod: dict, directory: str) -> str:
        path = os.path.join(directory, "etc-hosts")
        spec = pod["spec"]
        if spec.get("hostNetwork"):
            with open("/etc/hosts", encoding="utf-8") as file:
                text = "# Kubernetes-managed hosts file (host network).\n" + file.read()
        else:
            text = (
                "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
                "fe00::\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
                f"{pod.get('status', {}).get('podIP', '')}\t{hostname(pod)}\n"
            )
        if spec.get("hostAliases"):
            text += "\n# Entries added by HostAliases.\n" + "".join(
                f"{alias['ip']}\t" + "\t".join(alias["hostnames"]) + "\n" for alias in spec["hostAliases"]
            )
        os.makedirs(directory, exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def remove(self, uid: str) -> None:
        shutil.rmtree(self._settings.pod_directory(uid), ignore_errors=True)

    # --- environment

    def environment(self, pod: dict, container: dict, service: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Service variables, then envFrom, then env; a later one of the same name wins."""
        found: dict[str, str] = dict(service)
        for source in container.get("envFrom") or []:
            kind = "configMap" if "configMapRef" in source else "secret"
            reference = source[kind + "Ref"]
            data = self._object(kind.lower(), pod, reference["name"], bool(reference.get("optional")))
            found.update({source.get("prefix", "") + key: value.decode() for key, value in data.items()})
        for entry in container.get("env") or []:
            value = entry.get("value", "")
            if entry.get("valueFrom"):
                looked_up = self._value_from(pod, container, entry["valueFrom"])
                if looked_up is None:
                    continue
                value = looked_up
            else:
                value = expand(value, found)
            found[entry["name"]] = value
        return list(found.items())

    def _value_from(self, pod: dict, container: dict, source: dict) -> t.Optional[str]:
        if "fieldRef" in source:
            return field(pod, source["fieldRef"]["fieldPath"], self._settings.address)
        if "resourceFieldRef" in source:
            group, _sep, name = source["resourceFieldRef"]["resource"].partition(".")
            value = ((container.get("resources") or {}).get(group) or {}).get(name, 0)
            return str(-int(-quantity(value) // 1))
        kind = "configMap" if "configMapKeyRef" in source else "secret"
        reference = source[kind + "KeyRef"]
        data = self._object(kind.lower(), pod, reference["name"], bool(reference.get("optional")))
        if reference["key"] not in data:
            if reference.get("optional"):
                return None
            raise VolumeError(
                f"couldn't find key {reference['key']} in {kind} {pod['metadata']['namespace']}/{reference['name']}"
            )
        return data[reference["key"]].decode()


def write_atomically(path: str, files: dict[str, bytes], mode: int) -> None:
    """The layout of the kubelet's volumes: NAME -> ..data/NAME, ..data -> ..<version>/NAME."""
    os.makedirs(path, exist_ok=True)
    version = ".." + secrets.token_hex(8)
    for name, content in files.items():
        place = os.path.join(path, version, name)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as file:
            file.write(content)
        os.chmod(place, mode)
    os.makedirs(os.path.join(path, version), exist_ok=True)
    os.symlink(version, os.path.join(path, "..data_tmp"))
    os.replace(os.path.join(path, "..data_tmp"), os.path.join(path, "..data"))
    for name in {name.partition("/")[0] for name in files}:
        os.symlink(os.path.join("..data", name), os.path.join(path, name))
