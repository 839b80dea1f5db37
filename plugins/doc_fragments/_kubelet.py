# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options in C(module_utils/_argspec.py). PRIVATE to the collection."""

from __future__ import annotations


class ModuleDocFragment:
    """Options that say how to reach a kubelet."""

    DOCUMENTATION = r"""
options:
  kubelet_url:
    description:
      - Where the kubelet answers.
    type: str
    default: https://127.0.0.1:10250
  kubelet_token:
    description:
      - A bearer token, best of a ServiceAccount that may do no more than C(create) C(nodes/checkpoint).
      - Can also be given as E(CONTAINER_CHECKPOINT_KUBELET_TOKEN).
      - Mutually exclusive with O(kubelet_token_file).
    type: str
  kubelet_token_file:
    description:
      - A file with the token, on the machine where the module runs. It is read again for every request, so a token that is renewed
        during a long call is used.
    type: path
  kubelet_client_cert:
    description:
      - A client certificate in PEM format, signed by the CA that the kubelet trusts for clients.
    type: path
  kubelet_client_key:
    description:
      - The key of O(kubelet_client_cert), without a password; not needed when it is in the same file.
    type: path
  kubelet_ca_cert:
    description:
      - The CA that signed the kubelet's serving certificate.
      - Unless C(serverTLSBootstrap) is on, a kubelet signs its certificate itself, and the cluster's CA does not verify it. Use
        O(kubelet_serving_cert) or O(kubelet_fingerprint) then.
      - Mutually exclusive with O(kubelet_fingerprint) and O(kubelet_serving_cert).
    type: path
  kubelet_fingerprint:
    description:
      - SHA-256 fingerprint of the certificate that the kubelet must present, as C(openssl x509 -noout -fingerprint -sha256) prints it.
      - It is compared before anything is sent. Neither the certificate's CA nor the name in it are looked at.
    type: str
  kubelet_serving_cert:
    description:
      - The certificate that the kubelet must present, as a file in PEM format; the first one in it counts. On the node itself this
        is C(/var/lib/kubelet/pki/kubelet.crt) for a self-signed one.
      - Works like O(kubelet_fingerprint) with the fingerprint of that file.
    type: path
  kubelet_validate_certs:
    description:
      - V(false) accepts any certificate, and hands the token to whoever answers. Prefer O(kubelet_serving_cert) or O(kubelet_fingerprint).
    type: bool
    default: true
"""
