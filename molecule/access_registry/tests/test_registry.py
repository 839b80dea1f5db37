# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry on node1 as its nodes see it, and what it keeps to itself."""

from __future__ import annotations

import json
import pathlib

import pytest

STATE = pathlib.Path("/run/container-checkpoint-lab/accessmol")
UNIT = "container-checkpoint-registry"
CONFIG = "/etc/container-checkpoint/registry"
PASSWORD = "not-a-secret-1"
ASK = """
import base64, sys, urllib.error, urllib.request
headers = {"Authorization": "Basic " + base64.b64encode(sys.argv[1].encode()).decode()} if sys.argv[1] else {}
try:
    print(urllib.request.urlopen(urllib.request.Request("https://node1:5443/v2/", headers=headers), timeout=60).status)
except urllib.error.HTTPError as exc:
    print(exc.code)
"""


@pytest.fixture
def name(host):
    """The node's name."""
    return host.ansible.get_variables()["inventory_hostname"]


@pytest.fixture
def server(name):
    """Only where the registry is."""
    if name != "node1":
        pytest.skip("the registry is on node1")


@pytest.mark.parametrize(("login", "status"), [("checkpoints:" + PASSWORD, "200"), ("checkpoints:wrong", "401"), ("", "401")])
def test_every_node_trusts_the_certificate_and_needs_the_password(host, login, status):
    assert host.check_output("python3 -c %s %s", ASK, login) == status


def test_containerd_is_told_of_it_and_not_of_the_password(host):
    place = "/etc/containerd/certs.d/node1:5443"
    hosts = host.file(place + "/hosts.toml")
    assert (hosts.user, hosts.mode) == ("root", 0o600)
    assert place + "/ca.crt" in hosts.content_string and "Authorization" not in hosts.content_string
    system = host.file("/usr/local/share/ca-certificates/container-checkpoint-registry.crt")
    assert host.file(place + "/ca.crt").content_string == system.content_string


def test_cri_o_and_podman_would_trust_it(host):
    place = "/etc/containers/certs.d/node1:5443"
    assert host.file(place).listdir() == ["ca.crt"]
    assert host.file(place + "/ca.crt").content_string == host.file("/etc/containerd/certs.d/node1:5443/ca.crt").content_string


def test_a_node_that_only_uses_it_gets_nothing_of_it(host, name):
    if name == "node1":
        pytest.skip("the registry is here")
    assert not host.file(CONFIG).exists and not host.package("docker-registry").is_installed
    assert not host.file("/etc/systemd/system/%s.service" % UNIT).exists


def test_it_runs_now_and_at_every_boot_and_the_packages_own_does_not(host, server):
    for unit in (UNIT + ".service", UNIT + "-check.timer", UNIT + "-collect.timer"):
        assert host.check_output("systemctl is-active %s", unit) == "active"
        assert host.check_output("systemctl is-enabled %s", unit) == "enabled"
    assert host.run("systemctl is-active docker-registry.service").stdout.strip() == "inactive"
    assert host.run("systemctl is-enabled docker-registry.service").stdout.strip() == "disabled"
    assert host.check_output("systemctl list-units --failed --no-legend %s", UNIT + "*") == ""


@pytest.mark.parametrize(("path", "mode"), [(CONFIG + "/server.key", 0o400), (CONFIG + "/htpasswd", 0o400), ("/var/lib/container-checkpoint-registry", 0o700)])
def test_only_the_registry_reads_what_is_secret(host, server, path, mode):
    assert (host.file(path).user, host.file(path).mode) == ("docker-registry", mode)


def test_the_cas_key_is_roots_and_the_password_is_hashed(host, server):
    key = host.file(CONFIG + "/ca.key")
    assert (key.user, key.mode) == ("root", 0o600)
    assert host.file(CONFIG + "/htpasswd").content_string.startswith("checkpoints:$2y$")


def test_the_certificate_is_of_that_ca_and_for_that_name(host, server):
    host.check_output("openssl verify -x509_strict -verify_hostname node1 -CAfile %s/ca.crt %s/server.crt" % (CONFIG, CONFIG))


def test_the_ledger_names_what_was_added(host, server):
    added = json.loads(host.file("/var/lib/container-checkpoint/roles/registry.json").content_string)["packages"]
    assert {"docker-registry", "apache2-utils"} <= set(added)


def test_the_password_is_in_no_log(host):
    log = (STATE / "ansible.log").read_text()
    assert "Set the password" in log and PASSWORD not in log
    assert PASSWORD not in host.check_output("journalctl --no-pager")
