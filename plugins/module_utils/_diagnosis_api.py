# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Diagnosis table, fourth part: why the API server refuses a Pod, asked for real or in a dry run.

PRIVATE to the collection. Data only; C(_diagnosis) searches it. Sources are paths in Kubernetes' own repository.
"""

from __future__ import annotations

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._diagnosis_row import Row

API = ("api-server",)

_QUOTA = "staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go"
_WEBHOOK = "staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook/errors/statuserror.go"

ROWS = (
    Row(
        "quota-exceeded",
        API,
        ("exceeded quota: ",),
        "a ResourceQuota of the namespace leaves no room for the new pod; the source counts, too, until it is gone",
        "raise the quota that the message names, or free what it counts (source and restored pod exist side by side for a while)",
        _QUOTA,
    ),
    Row(
        "quota-unsaid",
        API,
        ("failed quota: …must specify",),
        "a ResourceQuota of the namespace counts what the containers do not say that they want",
        "have a LimitRange of the namespace say it, or give the pod these requests and limits and checkpoint it again",
        "pkg/quota/v1/evaluator/core/pods.go",
    ),
    Row(
        "pod-security",
        API,
        ("violates PodSecurity ",),
        "the namespace enforces a Pod Security Standard that the pod does not meet (the source is older than that rule)",
        "change what the message names in the pod and checkpoint it again, or have the namespace enforce a level that allows it "
        "(label pod-security.kubernetes.io/enforce)",
        "staging/src/k8s.io/pod-security-admission/admission/admission.go",
    ),
    Row(
        "admission-webhook",
        API,
        ("admission webhook …denied the request",),
        "an admission webhook of the cluster does not allow the pod, for the reason that the message gives",
        "do what the message asks for, or have whoever runs that webhook let the pod through",
        _WEBHOOK,
    ),
    Row(
        "admission-webhook-dry-run",
        API,
        ("admission webhook …does not support dry run",),
        "an admission webhook has side effects, so the API server cannot be asked beforehand whether it would take the pod",
        "have the webhook's configuration say sideEffects: None or NoneOnDryRun",
        _WEBHOOK,
    ),
    Row(
        "admission-webhook-away",
        API,
        ("failed calling webhook ",),
        "an admission webhook that must be asked does not answer",
        "see that its pods run and its certificate is valid; then try again",
        "staging/src/k8s.io/apiserver/pkg/util/webhook/error.go",
        transient=True,
    ),
    Row(
        "admission-policy",
        API,
        ("ValidatingAdmissionPolicy …denied request",),
        "a ValidatingAdmissionPolicy of the cluster does not allow the pod, for the reason that the message gives",
        "do what the message asks for, or have the policy's binding leave this namespace out",
        "staging/src/k8s.io/apiserver/pkg/admission/plugin/policy/validating/dispatcher.go",
    ),
    Row(
        "api-forbidden",
        API,
        ("is forbidden: User …cannot …resource",),
        "whoever is logged in has no right to do this",
        "bind that user to a Role or ClusterRole with the right that the message names",
        "staging/src/k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go",
    ),
)
