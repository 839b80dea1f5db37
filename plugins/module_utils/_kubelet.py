# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of the kubelet's HTTP interface: straight to the node, or through the API server's node proxy.

PRIVATE to the collection. The transport is injected. Every name is checked before it becomes part of a URL, and every
answer that is not a success becomes a message that says what to do (C(_kubelet_answers)).
"""

from __future__ import annotations

import json
import typing as t
from urllib.parse import quote, urlencode

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _kubelet_answers as answers
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    CheckpointError,
    DeadlineError,
    TransportError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._http import Answer
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._names import check_label, check_subdomain

Pod = t.Dict[str, t.Any]
_MAX_PODS = 64 * 1024 * 1024
# A name that no container has: long, and not what a person would choose.
PROBE_CONTAINER = "container-checkpoint-probe-that-no-container-is-named-after"


class Send(t.Protocol):
    """C(HttpClient.send), or a test's stand-in."""

    def __call__(
        self,
        method: str,
        url: str,
        headers: t.Optional[t.Mapping[str, str]] = None,
        body: t.Any = None,
        timeout: t.Optional[float] = None,
        max_body: int = 0,
    ) -> Answer:
        """Send one request."""


def check_target(namespace: str, pod: str, container: t.Optional[str] = None) -> None:
    """Raise InputError unless these names may become parts of a path."""
    check_label(namespace, "namespace")
    check_subdomain(pod, "pod")
    if container is not None:
        check_label(container, "container")


class KubeletClient:
    """One kubelet.

    url: C(https://HOST:10250) of the kubelet, or of the API server when node is given. headers: called before each
    request for the headers that identify us, so that a renewed token file is read again.
    node: with it, everything goes through the API server's proxy for that node.
    """

    def __init__(
        self,
        send: Send,
        url: str,
        headers: t.Callable[[], t.Mapping[str, str]] = dict,
        node: t.Optional[str] = None,
        timeout: float = 30.0,
    ) -> None:
        self._send = send
        self._url = url.rstrip("/")
        self._headers = headers
        self._node = check_subdomain(node, "node") if node is not None else None
        self._timeout = timeout

    @property
    def through_api(self) -> bool:
        """Whether the API server stands in between."""
        return self._node is not None

    @property
    def peer(self) -> answers.Peer:
        """Whom we talk to, for messages."""
        return answers.Peer(url=self._url, node=self._node)

    def checkpoint(self, namespace: str, pod: str, container: str, timeout: int, deadline: float) -> str:
        """Ask for a checkpoint and return the path of the archive on the node.

        timeout: the kubelet's parameter, in seconds. deadline: how long we wait, in seconds; longer than timeout.
        """
        check_target(namespace, pod, container)
        target = "%s/%s/%s" % (namespace, pod, container)
        path = "/checkpoint/%s?%s" % (target, urlencode({"timeout": int(timeout)}))
        try:
            answer = self._call("POST", path, deadline)
        except TransportError as exc:
            if exc.details.get("transport") == "timeout":
                raise DeadlineError(
                    "the checkpoint of %s was not finished within %g s (timeout %d s). The container may have been left"
                    " paused" % (target, deadline, timeout)
                ) from exc
            raise
        if answer.status != 200:
            raise answers.checkpoint_error(answer, target, self.peer)
        return answers.archive_path(answer, target)

    def probe(self, namespace: str, pod: str) -> None:
        """Find out, without any effect, whether a checkpoint of that pod would be let through; raise what it would
        meet.

        A POST for a container that cannot exist passes authentication and authorization first and then ends with 404.
        """
        check_target(namespace, pod)
        target = "%s/%s/%s" % (namespace, pod, PROBE_CONTAINER)
        answer = self._call("POST", "/checkpoint/%s" % target, self._timeout)
        if answer.status == 404 and "container %s does not exist" % PROBE_CONTAINER in answers.body_text(answer):
            return
        raise answers.checkpoint_error(answer, "%s/%s" % (namespace, pod), self.peer)

    def may_checkpoint(self) -> None:
        """Find out, without any effect and without knowing a pod, whether checkpoints may be asked for here at all;
        raise what stands against it.

        The kubelet looks at who asks and at their rights before it looks for the pod.
        """
        answer = self._call("POST", "/checkpoint/default/%s/%s" % (PROBE_CONTAINER, PROBE_CONTAINER), self._timeout)
        if answer.status != 404 or "pod does not exist" not in answers.body_text(answer):
            raise answers.checkpoint_error(answer, "default/" + PROBE_CONTAINER, self.peer)

    def pods(self, namespace: t.Optional[str] = None) -> t.List[Pod]:
        """The pods of this node as the kubelet knows them, or as the API server does when it stands in between."""
        if namespace is not None:
            check_label(namespace, "namespace")
        if self._node is not None:
            where = "/api/v1/namespaces/%s/pods" % quote(namespace, safe="") if namespace else "/api/v1/pods"
            path = "%s?%s" % (where, urlencode({"fieldSelector": "spec.nodeName=" + self._node}))
            answer = self._request("GET", self._url + path, self._timeout, _MAX_PODS)
        else:
            answer = self._call("GET", "/pods", self._timeout, _MAX_PODS)
        if answer.status != 200:
            raise answers.pods_error(answer, self.peer)
        return [
            pod
            for pod in answers.pod_list(answer, self.peer)
            if namespace is None or pod["metadata"].get("namespace") == namespace
        ]

    def pod(self, namespace: str, name: str) -> t.Optional[Pod]:
        """One pod by name from the API server, on whatever node it is; None without an API server, or if there is
        none."""
        check_target(namespace, name)
        if self._node is None:
            return None
        answer = self._request(
            "GET", "%s/api/v1/namespaces/%s/pods/%s" % (self._url, namespace, name), self._timeout, _MAX_PODS
        )
        try:
            found = json.loads(answer.body) if answer.status == 200 else None
        except ValueError:
            found = None
        return found if isinstance(found, dict) and isinstance(found.get("metadata"), dict) else None

    def configz(self) -> t.Dict[str, t.Any]:
        """The configuration that the kubelet runs with (needs get on nodes/configz, before 1.33 on nodes/proxy)."""
        answer = self._call("GET", "/configz", self._timeout)
        if answer.status != 200:
            raise answers.pods_error(answer, self.peer)
        try:
            found = json.loads(answer.body)
        except ValueError:
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("kubeletconfig"), dict):
            raise TransportError("%s answered /configz with something that is not its configuration" % self.peer)
        return found["kubeletconfig"]

    def _call(self, method: str, path: str, timeout: float, max_body: int = 1024 * 1024) -> Answer:
        base = self._url if self._node is None else "%s/api/v1/nodes/%s/proxy" % (self._url, self._node)
        return self._request(method, base + path, timeout, max_body)

    def _request(self, method: str, url: str, timeout: float, max_body: int) -> Answer:
        headers = {"Accept": "application/json", **self._headers()}
        try:
            return self._send(
                method, url, headers=headers, body=b"" if method == "POST" else None, timeout=timeout, max_body=max_body
            )
        except TransportError as exc:
            raise answers.transport_error(exc, self.peer) from exc


def is_forbidden(exc: CheckpointError) -> bool:
    """Whether an error is a 403, which the kubelet keeps answering for about 30 s after the right was granted."""
    return exc.details.get("http_status") == 403
