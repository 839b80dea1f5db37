# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kubelet's answers mean, and what to do about those that are no success.

PRIVATE to the collection. Pure functions. The texts matched here are those of real kubelets (tests/unit has them);
causes
from below the kubelet (runtime, CRIU) are C(_diagnosis)'s.
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis import diagnose
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    HttpStatusError,
    TransportError,
)
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._http import Answer

_FORBIDDEN = re.compile(
    r"Forbidden \(user=(?P<user>[^,]*), verb=(?P<verb>[a-z]+), resource=nodes, subresource(?:\(s\))?=\[?(?P<sub>[a-z"
    r" ]+)\]?\)"
)
_API_FORBIDDEN = re.compile(r'User "(?P<user>[^"]*)" cannot (?P<verb>[a-z]+) resource "(?P<resource>[a-z/]+)"')
_SHOWN = 4000

_RULE = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: %(name)s
rules:
  - apiGroups: [""]
    resources: ["%(resource)s"]
    verbs: ["%(verb)s"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: %(name)s
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: %(name)s
subjects:
  - %(subject)s
"""


@dataclass(frozen=True)
class Peer:
    """Whom we asked. node: set when the API server's proxy stands in between."""

    url: str
    node: t.Optional[str] = None

    def __str__(self) -> str:
        if self.node is not None:
            return "the kubelet of node %s, through the API server %s" % (self.node, self.url)
        return "the kubelet at %s" % self.url


def body_text(answer: Answer) -> str:
    """The answer's text; of a Kubernetes Status object its message."""
    text = answer.body.decode("utf-8", "replace").strip()
    if text.startswith("{"):
        try:
            status = json.loads(text)
            if status.get("kind") == "Status" and isinstance(status.get("message"), str):
                return status["message"]
        except (ValueError, RecursionError):
            pass
    return text


def archive_path(answer: Answer, target: str) -> str:
    """The one path in a successful answer; whether it may be trusted is for the caller to check."""
    try:
        paths = json.loads(answer.body)["items"]
        if len(paths) == 1 and isinstance(paths[0], str) and paths[0]:
            return paths[0]
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise HttpStatusError(
        'the answer to the checkpoint of %s is not what a kubelet answers ({"items": [PATH]}): %r'
        % (target, body_text(answer)[:200]),
        answer.status,
        body_text(answer)[:200],
    )


def pod_list(answer: Answer, peer: Peer) -> t.List[t.Dict[str, t.Any]]:
    """The pods of a PodList."""
    try:
        pods = json.loads(answer.body)["items"] or []
        if isinstance(pods, list) and all(
            isinstance(pod, dict) and isinstance(pod.get("metadata"), dict) for pod in pods
        ):
            return pods
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise HttpStatusError("%s did not answer with a list of pods" % peer, answer.status)


def checkpoint_error(answer: Answer, target: str, peer: Peer) -> HttpStatusError:
    """The error for an answer to a checkpoint request that is not 200. target: C(namespace/pod/container)."""
    text = body_text(answer)
    status = answer.status
    if status == 403:
        return _forbidden(text, peer, "the checkpoint of %s" % target)
    special = _common(status, text, peer)
    if special is None and status == 404:
        special = _not_found(text, target, peer)
    if special is None and status == 405:
        special = (
            "%s does not accept POST for the checkpoint of %s (405). What answers there is not a kubelet's checkpoint"
            " endpoint: check kubelet_url, and any proxy in between" % (peer, target)
        )
    if special is None and status == 500:
        special = _failed(text, target, peer)
    found = diagnose(text) if status >= 500 else []
    if special is None:
        special = "%s answered the checkpoint of %s with HTTP %d: %s" % (
            peer,
            target,
            status,
            text[:_SHOWN] or "(no text)",
        )
    if found:
        special += "\nCause: %s. Remedy: %s." % (found[0]["cause"].rstrip("."), found[0]["remedy"].rstrip("."))
    return HttpStatusError(special, status, text[:_SHOWN], diagnosis=found or diagnose(special))


def pods_error(answer: Answer, peer: Peer) -> HttpStatusError:
    """The error for an answer to a request for the list of pods that is not 200."""
    text = body_text(answer)
    if answer.status == 403:
        return _forbidden(text, peer, "reading the list of pods")
    special = _common(answer.status, text, peer)
    if special is None:
        special = "%s answered the request for its pods with HTTP %d: %s" % (
            peer,
            answer.status,
            text[:300] or "(no text)",
        )
    return HttpStatusError(special, answer.status, text[:_SHOWN])


def transport_error(exc: TransportError, peer: Peer) -> TransportError:
    """A connection that failed, with what to do about it."""
    kind = exc.details.get("transport")
    advice = {
        "refused": (
            "Is the kubelet running, and is kubelet_url right (port 10250)?"
            if peer.node is None
            else "Is host the API server's URL?"
        ),
        "tls_ca": (
            "A kubelet signs its own certificate unless serverTLSBootstrap is on: then the cluster's CA does not verify"
            " it. On the node, give kubelet_serving_cert: /var/lib/kubelet/pki/kubelet.crt; elsewhere"
            " kubelet_fingerprint (openssl x509 -in /var/lib/kubelet/pki/kubelet.crt -noout -fingerprint -sha256). With"
            " serverTLSBootstrap give kubelet_ca_cert"
            if peer.node is None
            else "Give ca_cert, the CA of the API server"
        ),
        "tls_host": (
            "A kubelet's certificate is often made out for the node's name only: use that name in kubelet_url, or"
            " kubelet_serving_cert or kubelet_fingerprint"
        ),
        "tls_protocol": "Is the port right? A kubelet answers HTTPS on port 10250",
    }.get(str(kind))
    return TransportError("%s. %s" % (exc.msg, advice) if advice else exc.msg, **exc.details)


def _common(status: int, text: str, peer: Peer) -> t.Optional[str]:
    if status == 401:
        if peer.node is not None:
            return (
                "the API server %s does not accept our credentials (401 Unauthorized): the token or the client"
                " certificate is missing, expired, or of another cluster"
                % peer.url
            )
        return (
            "%s does not accept our credentials (401 Unauthorized): the token is missing, expired or of another"
            " cluster, or the client certificate is not signed by the CA in the kubelet's"
            " authentication.x509.clientCAFile. Tokens need authentication.webhook.enabled in the kubelet's"
            " configuration" % peer
        )
    if status == 400 and "HTTP request to an HTTPS server" in text:
        return "%s speaks HTTPS only (400): write https:// in the URL" % peer
    if status == 500 and text.startswith("Authorization error"):
        return (
            "%s could not find out whether we are allowed to do this: %s. It asks the API server: is that reachable"
            " from the node?" % (peer, text)
        )
    if status == 404 and peer.node is not None and re.search(r'nodes? "[^"]+" not found', text):
        return "the API server %s knows no node %s: check the node's name with 'kubectl get nodes'" % (
            peer.url,
            peer.node,
        )
    if status in (502, 503, 504) and peer.node is not None:
        return "the API server %s cannot reach the kubelet of node %s (%d): %s" % (
            peer.url,
            peer.node,
            status,
            text[:300],
        )
    return None


def _not_found(text: str, target: str, peer: Peer) -> t.Optional[str]:
    namespace, pod, container = (target.split("/") + [""])[:3]
    if "404 page not found" in text:
        return (
            "%s has no checkpoint endpoint (404 page not found). Before Kubernetes 1.30 the kubelet needs featureGates:"
            " {ContainerCheckpoint: true}; since then it is on unless switched off. It also needs"
            " enableDebuggingHandlers: true (the default)" % peer
        )
    if "pod does not exist" in text:
        return (
            "there is no pod %s in namespace %s on this node (%s answered 404: pod does not exist). Check the name;"
            " where the pod runs shows: kubectl get pod -n %s %s -o wide. Of a static pod the full name is needed, with"
            " the node's name at its end" % (pod, namespace, peer, namespace, pod)
        )
    if "does not exist" in text and text.startswith("container "):
        return "pod %s/%s has no container %s (%s answered 404: %s)" % (namespace, pod, container, peer, text)
    if "cannot parse value of timeout parameter" in text:
        return "%s did not understand the timeout (404: %s); it must be whole seconds" % (peer, text)
    return None


def _failed(text: str, target: str, peer: Peer) -> t.Optional[str]:
    match = re.match(r"checkpointing of \S+ failed \((.*)\)\s*\Z", text, re.DOTALL)
    if not match:
        return None
    inner = match.group(1)
    container = target.rpartition("/")[2]
    if inner == "container %s not found" % container:
        return (
            "the container of %s does not run (%s answered 500: %s). Only a running container can be checkpointed: wait"
            " until it has started" % (target, peer, text)
        )
    if "requires the timeout value to be > 0" in inner:
        return "%s refused the timeout (500: %s); it must be more than 0" % (peer, text)
    return "the checkpoint of %s failed (%s answered 500): %s" % (target, peer, inner[:_SHOWN])


def _forbidden(text: str, peer: Peer, what: str) -> HttpStatusError:
    match = _FORBIDDEN.search(text) or _API_FORBIDDEN.search(text)
    if not match:
        return HttpStatusError("%s refused %s (403): %s" % (peer, what, text[:300]), 403, text[:_SHOWN])
    groups = match.groupdict()
    # Several subresources: any of them is enough, and the first is the narrowest.
    resource = groups.get("resource") or "nodes/%s" % groups["sub"].split()[0]
    rule = missing_rule(groups["user"], groups["verb"], resource)
    msg = (
        "user %r may not %s %s, which %s needs (%s answered 403). The missing rule:\n%s"
        "The kubelet remembers a refusal for about 30 seconds: after granting the right, it may take that long."
        % (groups["user"], groups["verb"], resource, what, peer, rule)
    )
    if groups["user"] == "kube-apiserver-kubelet-client":
        msg += (
            " That user is the API server itself (kubeadm): since the patches of May 2026 it is no cluster"
            " administrator any more. Instead of granting it the right, a ServiceAccount's own token can be used"
            " straight at the kubelet."
        )
    return HttpStatusError(
        msg,
        403,
        text[:_SHOWN],
        missing_rule={"apiGroups": [""], "resources": [resource], "verbs": [groups["verb"]]},
        user=groups["user"],
    )


def missing_rule(user: str, verb: str, resource: str) -> str:
    """A ClusterRole and its binding, in YAML, that grant exactly what was refused."""
    parts = user.split(":")
    if len(parts) == 4 and parts[:2] == ["system", "serviceaccount"]:
        subject = "{kind: ServiceAccount, namespace: %s, name: %s}" % (parts[2], parts[3])
    else:
        subject = "{kind: User, apiGroup: rbac.authorization.k8s.io, name: %s}" % json.dumps(user)
    return _RULE % {
        "name": "container-checkpoint-%s" % resource.replace("/", "-"),
        "resource": resource,
        "verb": verb,
        "subject": subject,
    }
