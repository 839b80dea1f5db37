# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options of C(_argspec_registry).

PRIVATE to the collection.
"""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  username:
    description:
      - The user name for the registry.
      - Without O(username) and O(auth_file) the registry is used anonymously.
    type: str
  password:
    description:
      - The password, or an access token in its place.
      - It is sent to the registry itself, and to the token service that the registry names if that is reached over TLS and is on the
        registry's own host or in O(auth_hosts). It never follows a redirect and never goes to an upload address on another host.
    type: str
  auth_file:
    description:
      - A credentials file on the node, in the format of C(auth.json) (Podman, Buildah, Skopeo) or C(config.json) (Docker), with
        the credentials under C(auths). The longest key that matches the image's name is used; if none matches, the registry is used anonymously.
      - Credential helpers are not run; a file that names one for this registry is an error.
      - Mutually exclusive with O(username).
    type: path
  auth_hosts:
    description:
      - Hosts of token services, besides the registry's own, that may get the credentials.
      - For C(docker.io) its own token service, C(auth.docker.io), is always allowed.
    type: list
    elements: str
    default: []
  ca_cert:
    description:
      - A file on the node with the certificate authorities to trust, in PEM format, instead of the system's.
    type: path
  client_cert:
    description:
      - A file on the node with the client certificate to present, in PEM format; it may hold the key too.
    type: path
  client_key:
    description:
      - The file with the key of O(client_cert), unless O(client_cert) holds it.
    type: path
  validate_certs:
    description:
      - Whether the registry's certificate must be valid.
      - Without validation, whoever stands between node and registry can read the container's memory and the credentials.
    type: bool
    default: true
  plain_http:
    description:
      - Talk HTTP instead of HTTPS. Everybody on the way can read the container's memory and the credentials.
    type: bool
    default: false
  proxy:
    description:
      - A proxy to tunnel through, V(http://host:port). Proxies from the environment are not used.
    type: str
  request_timeout:
    description:
      - How many seconds to wait for the registry each time something is sent or expected.
    type: int
    default: 120
  retries:
    description:
      - How often a request is repeated that failed for a transient reason (a broken connection, or the HTTP statuses 408, 425, 429, 500, 502, 503
        and 504), with growing pauses, or as long as the registry asks for with C(Retry-After), a minute at most.
      - A broken upload goes on from where the registry says it stands.
    type: int
    default: 5
"""
