# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes API, through the dynamic client of the C(kubernetes) library (never its typed models).

PRIVATE to the collection, for modules that run on the controller. C(connect) makes the client, C(KubeApi) speaks plain
dictionaries and raises this collection's errors, without the secrets that were used to log in.
"""

from __future__ import annotations

import json
import os
import traceback
import typing as t

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis import diagnose
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import (
    HttpStatusError,
    InputError,
    TransportError,
)

try:
    import kubernetes
    import kubernetes.dynamic

    HAS_KUBERNETES = True
    KUBERNETES_IMPORT_ERROR: t.Optional[str] = None
except ImportError:
    HAS_KUBERNETES = False
    KUBERNETES_IMPORT_ERROR = traceback.format_exc()

MINIMUM = "24.2.0"
_BODY_MAX = 2000
_SECRET_KEYS = (
    "token",
    "password",
    "client-key-data",
    "client-certificate-data",
    "id-token",
    "refresh-token",
    "client-secret",
)
_PLURALS = {
    "Pod": "pods",
    "RuntimeClass": "runtimeclasses",
    "Node": "nodes",
    "Event": "events",
    "ReplicaSet": "replicasets",
    "StatefulSet": "statefulsets",
}

Object = t.Dict[str, t.Any]


def secrets_of(params: t.Mapping[str, t.Any]) -> t.Set[str]:
    """Every value among the options that must not be seen: tokens, passwords, keys, also inside an inline kubeconfig."""
    found = {params.get("api_key"), params.get("password")}

    def walk(value: t.Any) -> None:
        if isinstance(value, dict):
            for key, entry in value.items():
                if key in _SECRET_KEYS and isinstance(entry, str):
                    found.add(entry)
                walk(entry)
        elif isinstance(value, list):
            for entry in value:
                walk(entry)

    walk(params.get("kubeconfig"))
    return {value for value in found if value}


def load_configuration(params: t.Mapping[str, t.Any]) -> t.Any:
    """The library's configuration: explicit options over the kubeconfig over the pod this runs in."""
    configuration = kubernetes.client.Configuration()
    credentials = (
        params.get("api_key") or (params.get("username") and params.get("password")) or params.get("client_cert")
    )
    if not (params.get("host") and credentials):
        _load(params, configuration)
    if params.get("host"):
        configuration.host = params["host"].rstrip("/")
    if params.get("api_key"):
        configuration.api_key = {"authorization": "Bearer " + params["api_key"]}
        # The kubeconfig's own way to renew its token would put that one back.
        configuration.refresh_api_key_hook = None
    names = {
        "username": "username",
        "password": "password",
        "validate_certs": "verify_ssl",
        "ca_cert": "ssl_ca_cert",
        "client_cert": "cert_file",
        "client_key": "key_file",
        "proxy": "proxy",
        "no_proxy": "no_proxy",
    }
    for option, attribute in names.items():
        if params.get(option) is not None:
            setattr(configuration, attribute, params[option])
    return configuration


def _load(params: t.Mapping[str, t.Any], configuration: t.Any) -> None:
    kubeconfig, context = params.get("kubeconfig"), params.get("context")
    common = {"context": context, "client_configuration": configuration, "persist_config": False}
    try:
        if isinstance(kubeconfig, dict):
            kubernetes.config.load_kube_config_from_dict(kubeconfig, **common)
        elif kubeconfig:
            kubernetes.config.load_kube_config(os.path.expanduser(str(kubeconfig)), **common)
        elif context:
            kubernetes.config.load_kube_config(**common)
        else:
            try:
                kubernetes.config.load_incluster_config(client_configuration=configuration)
            except kubernetes.config.ConfigException:
                kubernetes.config.load_kube_config(**common)
    except (kubernetes.config.ConfigException, OSError, ValueError, TypeError) as exc:
        where = (
            "the kubeconfig given as a dictionary"
            if isinstance(kubeconfig, dict)
            else "kubeconfig %s" % (kubeconfig or "~/.kube/config")
        )
        raise InputError(
            "%s cannot be used to reach the Kubernetes API (%s): give kubeconfig and context, or host with api_key or "
            "a "
            "client certificate" % (where, scrub(str(exc), secrets_of(params)))
        ) from exc


def log_in_with(configuration: t.Any, token: str) -> None:
    """Forget every login that a configuration holds and use this token; address and trust stay."""
    configuration.cert_file = configuration.key_file = None
    configuration.username = configuration.password = None
    configuration.refresh_api_key_hook = None
    configuration.api_key = {"authorization": "Bearer " + token}
    configuration.api_key_prefix = {}


def connect(params: t.Mapping[str, t.Any], cache_dir: str, token: t.Optional[str] = None) -> KubeApi:
    """A client for the options of C(_argspec_kube_api). cache_dir: private directory for what discovery learns.

    token: log in with it instead of what the options say.
    """
    configuration = load_configuration(params)
    if token is not None:
        log_in_with(configuration, token)
    client = kubernetes.client.ApiClient(configuration)
    if params.get("impersonate_user"):
        client.set_default_header("Impersonate-User", params["impersonate_user"])
    if params.get("impersonate_groups"):
        # The library's headers are a dictionary; a header may be repeated by joining its values with a comma only where
        # the server splits them, which the API server does not do here.
        if len(params["impersonate_groups"]) > 1:
            raise InputError(
                "the kubernetes library can impersonate one group at a time, not %d" % len(params["impersonate_groups"])
            )
        client.set_default_header("Impersonate-Group", params["impersonate_groups"][0])
    secrets = secrets_of(params) | ({token} if token else set())
    try:
        dynamic = kubernetes.dynamic.DynamicClient(
            client, cache_file=os.path.join(cache_dir, "kube-api-discovery.json")
        )
    except Exception as exc:  # the library's own and urllib3's errors share no base
        raise _translate("reach the API server at %s" % configuration.host, exc, secrets) from exc
    return KubeApi(dynamic, secrets)


def scrub(text: str, secrets: t.Iterable[str]) -> str:
    """The text without the secrets."""
    for secret in secrets:
        text = text.replace(secret, "********")
    return text


def _status_message(body: t.Any) -> str:
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    try:
        message = json.loads(text).get("message")
    except (ValueError, AttributeError):
        message = None
    return str(message or text)[:_BODY_MAX].strip()


def _is_api_trouble(exc: Exception) -> bool:
    return isinstance(exc, OSError) or type(exc).__module__.partition(".")[0] in ("kubernetes", "urllib3")


def _translate(what: str, exc: Exception, secrets: t.Iterable[str], rule: str = "") -> Exception:
    status = getattr(exc, "status", None)
    if isinstance(status, int) and status:
        message = scrub(_status_message(getattr(exc, "body", "")) or str(getattr(exc, "reason", "")), secrets)
        hints = {
            401: " The credentials were not accepted: is the token or certificate expired, is this the right cluster?",
            403: " Missing right: %s" % (rule or "see the message"),
        }
        # Not every 403 is about rights: quotas and admission refuse with it, too.
        causes = [found for found in diagnose(message, where="api-server") if found["id"] != "api-forbidden"]
        if causes:
            hints[status] = " Remedy: %s." % causes[0]["remedy"]
        return HttpStatusError(
            "could not %s: HTTP %d: %s.%s" % (what, status, message.rstrip("."), hints.get(status, "")), status, message
        )
    if _is_api_trouble(exc):
        return TransportError("could not %s: %s: %s" % (what, type(exc).__name__, scrub(str(exc), secrets)[:_BODY_MAX]))
    return exc


class KubeApi:
    """Objects of the cluster as dictionaries. client: the library's dynamic client, or anything with its C(resources)."""

    def __init__(self, client: t.Any, secrets: t.Iterable[str] = (), timeout: float = 30.0) -> None:
        self._client = client
        self._secrets = tuple(secrets)
        self._timeout = timeout

    def _call(
        self, what: str, verb: str, api_version: str, kind: str, subresource: str = "", **arguments: t.Any
    ) -> Object:
        resources = _PLURALS.get(kind, kind.lower() + "s") + ("/" + subresource if subresource else "")
        group = api_version.rpartition("/")[0]
        rule = "apiGroups: ['%s'], resources: ['%s'], verbs: ['%s']." % (group, resources, verb)
        method = "get" if verb == "list" else verb
        try:
            resource = self._client.resources.get(api_version=api_version, kind=kind)
            if subresource:
                resource = resource.subresources[subresource]
            answer = getattr(resource, method)(_request_timeout=self._timeout, **arguments)
        except Exception as exc:  # translated, or raised again as it is when it is not the API's
            translated = _translate(what, exc, self._secrets, rule)
            if translated is exc:
                raise
            raise translated from exc
        return answer.to_dict() if hasattr(answer, "to_dict") else answer

    def get(self, api_version: str, kind: str, name: str, namespace: t.Optional[str] = None) -> t.Optional[Object]:
        """The object, None when there is none of that name."""
        label = "%s/%s" % (namespace, name) if namespace else name
        try:
            return self._call("read %s %s" % (kind, label), "get", api_version, kind, name=name, namespace=namespace)
        except HttpStatusError as exc:
            if exc.status == 404:
                return None
            raise

    def create_pod(self, pod: Object, dry_run: bool) -> Object:
        """Create a Pod; with dry_run the API server checks it, fills it in, and keeps nothing."""
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        what = "%s pod %s/%s" % ("try out" if dry_run else "create", namespace, name)
        options = {"dry_run": "All"} if dry_run else {}
        return self._call(what, "create", "v1", "Pod", body=pod, namespace=namespace, **options)

    def remove_gate(self, namespace: str, name: str, uid: str, index: int, gate: str) -> Object:
        """Remove this scheduling gate of this very Pod, which may start then; refused if either is another one by now."""
        path = "/spec/schedulingGates/%d" % index
        body = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "test", "path": path + "/name", "value": gate},
            {"op": "remove", "path": path},
        ]
        return self._call(
            "remove the scheduling gate of pod %s/%s" % (namespace, name),
            "patch",
            "v1",
            "Pod",
            body=body,
            name=name,
            namespace=namespace,
            content_type="application/json-patch+json",
        )

    def delete_pod(self, namespace: str, name: str, uid: str, grace_seconds: int) -> None:
        """Delete this very Pod: one of the same name with another UID is left alone (HTTP 409)."""
        body = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "gracePeriodSeconds": grace_seconds,
            "preconditions": {"uid": uid},
        }
        self._call(
            "delete pod %s/%s" % (namespace, name), "delete", "v1", "Pod", name=name, namespace=namespace, body=body
        )

    def request_token(self, namespace: str, name: str, spec: Object) -> Object:
        """A new token of a ServiceAccount: the status of the TokenRequest."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        what = "get a token of service account %s/%s" % (namespace, name)
        answer = self._call(
            what, "create", "v1", "ServiceAccount", subresource="token", name=name, namespace=namespace, body=body
        )
        return answer.get("status") or {}

    def review_access(self, attributes: Object) -> Object:
        """Whether whoever is logged in may do this (resourceAttributes): the status of a SelfSubjectAccessReview."""
        version, kind = "authorization.k8s.io/v1", "SelfSubjectAccessReview"
        body = {"apiVersion": version, "kind": kind, "spec": {"resourceAttributes": attributes}}
        return self._call("ask what this login may do", "create", version, kind, body=body).get("status") or {}

    def pod_events(self, namespace: str, uid: str) -> t.List[Object]:
        """The events of one Pod, oldest first."""
        answer = self._call(
            "list events of namespace %s" % namespace,
            "list",
            "v1",
            "Event",
            namespace=namespace,
            field_selector="involvedObject.uid=%s" % uid,
        )
        entries = [
            entry for entry in answer.get("items") or [] if (entry.get("involvedObject") or {}).get("uid") == uid
        ]
        return sorted(entries, key=lambda entry: str(entry.get("lastTimestamp") or entry.get("eventTime") or ""))
