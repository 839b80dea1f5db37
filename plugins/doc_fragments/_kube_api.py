# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options in C(module_utils/_argspec_kube_api.py). PRIVATE to the collection."""

from __future__ import annotations


class ModuleDocFragment:
    """Options that say how to reach the Kubernetes API."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of a kubeconfig file where the module runs, or its content as a dictionary.
      - Without O(kubeconfig), O(context) and O(host), the configuration of the pod that the module runs in is tried,
        then
        C(~/.kube/config).
      - Can also be given as E(K8S_AUTH_KUBECONFIG).
    type: raw
  context:
    description:
      - The context of O(kubeconfig) to use. Can also be given as E(K8S_AUTH_CONTEXT).
    type: str
  host:
    description:
      - URL of the API server. Can also be given as E(K8S_AUTH_HOST).
    type: str
  api_key:
    description:
      - Token to authenticate with. Can also be given as E(K8S_AUTH_API_KEY).
    type: str
  username:
    description:
      - User name for API servers with basic authentication. Can also be given as E(K8S_AUTH_USERNAME).
    type: str
  password:
    description:
      - Password for API servers with basic authentication. Can also be given as E(K8S_AUTH_PASSWORD).
    type: str
  validate_certs:
    description:
      - Whether to verify the API server's certificate. Can also be given as E(K8S_AUTH_VERIFY_SSL).
      - When not given, what the kubeconfig says, else V(true).
    type: bool
    aliases: [verify_ssl]
  ca_cert:
    description:
      - Path of the CA certificate of the API server. Can also be given as E(K8S_AUTH_SSL_CA_CERT).
    type: path
    aliases: [ssl_ca_cert]
  client_cert:
    description:
      - Path of the client certificate to authenticate with. Can also be given as E(K8S_AUTH_CERT_FILE).
    type: path
    aliases: [cert_file]
  client_key:
    description:
      - Path of the client certificate's key. Can also be given as E(K8S_AUTH_KEY_FILE).
    type: path
    aliases: [key_file]
  proxy:
    description:
      - URL of an HTTP proxy. Can also be given as E(K8S_AUTH_PROXY).
    type: str
  no_proxy:
    description:
      - Comma-separated hosts that are reached without O(proxy). Can also be given as E(K8S_AUTH_NO_PROXY).
    type: str
  impersonate_user:
    description:
      - User to act as. Can also be given as E(K8S_AUTH_IMPERSONATE_USER).
    type: str
  impersonate_groups:
    description:
      - Groups to act as. Can also be given as E(K8S_AUTH_IMPERSONATE_GROUPS), separated by commas.
    type: list
    elements: str
requirements:
  - kubernetes >= 24.2.0 (Python library), where the module runs
  - Python >= 3.10, where the module runs
notes:
  - The options that reach the Kubernetes API have the names and environment variables of P(kubernetes.core.k8s#module),
    so that one
    C(module_defaults) serves both collections.
"""
