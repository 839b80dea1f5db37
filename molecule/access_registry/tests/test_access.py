# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role access granted, asked of the double of the API server, and that its token is in no log."""

from __future__ import annotations

import pathlib

import kubernetes.client
import kubernetes.config
import pytest

STATE = pathlib.Path("/run/container-checkpoint-lab/accessmol")
NAME = "container-checkpoint"
MANAGED = {"app.kubernetes.io/managed-by": "container_checkpoint.kubernetes"}


@pytest.fixture(scope="module")
def client():
    """The administrator's."""
    with kubernetes.config.new_client_from_config(config_file=str(STATE / "kubeconfig")) as found:
        yield found


@pytest.fixture(scope="module")
def account(client):
    """A client that is the account which the role made."""
    body = {"spec": {"expirationSeconds": 600}}
    answer = kubernetes.client.CoreV1Api(client).create_namespaced_service_account_token("checkpointer", NAME, body)
    configuration = kubernetes.client.Configuration()
    configuration.host = client.configuration.host
    configuration.ssl_ca_cert = client.configuration.ssl_ca_cert
    configuration.api_key = {"authorization": "Bearer " + answer.status.token}
    with kubernetes.client.ApiClient(configuration) as found:
        yield found


def test_one_right_is_granted_to_one_account(client):
    rbac = kubernetes.client.RbacAuthorizationV1Api(client)
    role, binding = rbac.read_cluster_role(NAME), rbac.read_cluster_role_binding(NAME)
    assert [(rule.api_groups, rule.resources, rule.verbs, rule.resource_names) for rule in role.rules] == [([""], ["nodes/checkpoint"], ["create"], None)]
    assert (binding.role_ref.kind, binding.role_ref.name) == ("ClusterRole", NAME)
    assert [(one.kind, one.namespace, one.name) for one in binding.subjects] == [("ServiceAccount", NAME, "checkpointer")]
    assert role.metadata.labels == binding.metadata.labels == MANAGED


def test_no_pod_gets_the_accounts_token(client):
    core = kubernetes.client.CoreV1Api(client)
    assert core.read_namespaced_service_account("checkpointer", NAME).automount_service_account_token is False
    assert core.read_namespace(NAME).metadata.labels.items() >= MANAGED.items()


def test_the_api_server_itself_gets_nothing_unasked(client):
    roles = kubernetes.client.RbacAuthorizationV1Api(client).list_cluster_role().items
    assert NAME + "-api-server" not in [one.metadata.name for one in roles]


def test_the_account_may_do_that_and_nothing_else(account):
    reviews = kubernetes.client.AuthorizationV1Api(account)
    rights = {("create", "nodes", "checkpoint"): True, ("get", "nodes", "configz"): False, ("create", "nodes", "proxy"): False, ("list", "pods", None): False}
    for (verb, resource, subresource), allowed in rights.items():
        asked = {"verb": verb, "resource": resource, "subresource": subresource}
        answer = reviews.create_self_subject_access_review({"spec": {"resourceAttributes": asked}})
        assert answer.status.allowed is allowed, asked
    with pytest.raises(kubernetes.client.ApiException) as refusal:
        kubernetes.client.CoreV1Api(account).list_secret_for_all_namespaces()
    assert refusal.value.status == 403


def test_a_second_run_and_the_first_showed_no_token():
    log = (STATE / "ansible.log").read_text()
    assert "Get a token" in log and "Keep the token as a fact" in log
    assert "eyJ" not in log
