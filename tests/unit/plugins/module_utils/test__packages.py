# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""_packages, _packages_apt, _packages_dnf: specifications, holds, what tools answer, repositories as text."""

from __future__ import annotations

import time

import pytest
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _packages as packages
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _packages_apt as apt
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils import _packages_dnf as dnf
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import CheckpointError, InputError


class Tool:
    """Answers by the last words of a command; remembers the commands."""

    def __init__(self, **answers):
        self.answers = answers
        self.calls = []

    def __call__(self, argv):
        self.calls.append(list(argv))
        for word, answer in self.answers.items():
            if word.replace("_", "-") in argv:
                return answer(argv) if callable(answer) else answer
        raise AssertionError("unexpected command: %s" % argv)


DPKG = "ii \tcriu\t4.2.1-1\nhi \trunc\t1.3.6-1\nrc \told\t1\nun \tnever\t\n"


def test_specifications():
    assert packages.parse_specs(["criu", "linux-image-6.1+x=1:2.3~bpo-1"]) == [
        packages.Spec("criu"),
        packages.Spec("linux-image-6.1+x", "1:2.3~bpo-1"),
    ]
    for bad in ("", "-o=x", "a b", "a=", "a=b=c", "../x"):
        with pytest.raises(InputError):
            packages.parse_specs([bad])


def test_names_and_checksums_are_checked():
    assert packages.check_repository_name("cri-o_1.36") == "cri-o_1.36"
    with pytest.raises(InputError):
        packages.check_repository_name("../x")
    with pytest.raises(InputError):
        packages.check_checksum("sha256:abc")


def test_dpkg_tells_what_is_there_and_what_is_held():
    there = apt.Apt(Tool(dpkg_query=(0, DPKG, ""))).installed()
    assert there == {"criu": packages.Installed("4.2.1-1"), "runc": packages.Installed("1.3.6-1", True)}


def test_what_is_missing_and_what_somebody_holds():
    manager = apt.Apt(Tool(dpkg_query=(0, DPKG, "")))
    there = manager.installed()
    assert packages.missing(manager, packages.parse_specs(["criu", "runc", "new"]), there) == [packages.Spec("new")]
    assert packages.missing(manager, packages.parse_specs(["criu=4.2.1-1"]), there) == []
    with pytest.raises(CheckpointError, match="held by somebody else.*runc is 1.3.6-1, wanted is 9"):
        packages.missing(manager, packages.parse_specs(["runc=9"]), there)


def test_lists_are_read_again_only_when_old():
    tool = Tool(update=(0, "", ""))
    fresh = apt.Apt(tool, lambda: time.time() - 10)
    assert not fresh.refresh(3600, False) and not fresh.refresh(0, False) and not tool.calls
    assert fresh.refresh(3600, True) and fresh.refresh(5, False)
    assert len(tool.calls) == 2 and "APT::Update::Error-Mode=any" in tool.calls[0]


def test_a_repository_that_cannot_be_reached_is_named():
    out = "Hit:1 http://mirror.example.com forky\nErr:2 http://gone.example.com ./\n"
    err = "E: Failed to fetch http://gone.example.com/InRelease  Could not connect\n"
    with pytest.raises(CheckpointError, match="cannot be read: Err:2 http://gone.example.com .*Could not connect"):
        apt.Apt(Tool(update=(100, out, err)), lambda: 0).refresh(10, False)


SIMULATED = "Inst libnet1 (1.3 Debian [amd64])\nInst tar [1.34] (1.35 Debian [amd64])\nInst criu (4.2 Debian [amd64])\nConf criu (4.2)\n"


def test_apts_simulation_names_what_would_be_new():
    tool = Tool(install=(0, SIMULATED, ""))
    assert apt.Apt(tool).would_add([packages.Spec("criu", "4.2")], None, "trixie-backports") == ["libnet1", "criu"]
    assert "--simulate" in tool.calls[0] and tool.calls[0][-1] == "criu=4.2"
    assert tool.calls[0][tool.calls[0].index("-t") + 1] == "trixie-backports"


@pytest.mark.parametrize(
    "err, words",
    [
        ("E: Unable to locate package criu", "no configured repository has it"),
        ("E: Held packages were changed and -y was used without --allow-change-held-packages.", "packages are held"),
        ("E: Version '9' for 'criu' was not found", "no configured repository has that version"),
        ("E: Failed to fetch http://x/criu.deb  404  Not Found", "cannot be reached or does not have the file"),
        ("E: Could not get lock /var/lib/dpkg/lock-frontend.", "another program is installing"),
        ("Error: Unable to find a match: criu", "no configured repository has it"),
        ("something else", "apt-get says: something else"),
    ],
)
def test_a_failed_installation_says_what_is_behind_it(err, words):
    with pytest.raises(CheckpointError, match="cannot install criu") as caught:
        apt.Apt(Tool(install=(100, "", err))).install([packages.Spec("criu")], None, "")
    assert words in caught.value.msg


def test_removal_keeps_what_others_need():
    def simulate(argv):
        wanted = argv[argv.index("remove") + 1 :]
        gone = set(wanted) | ({"firewall"} if "iptables" in wanted else set())
        return 0, "".join("Remv %s [1]\n" % name for name in sorted(gone)), ""

    tool = Tool(dpkg_query=(0, "ii \tcriu\t1\nii \tiptables\t1\nii \tlibnet1\t1\n", ""), remove=simulate)
    assert packages.removal(apt.Apt(tool), ["criu", "iptables", "libnet1", "gone-already"]) == (
        ["criu", "libnet1"],
        ["iptables"],
    )


def test_a_deb_says_what_it_is():
    assert apt.Apt(Tool(dpkg_deb=(0, "criu\t4.2.1-1", ""))).file_spec("/x.deb") == packages.Spec("criu", "4.2.1-1")
    with pytest.raises(CheckpointError, match="is not a .deb"):
        apt.Apt(Tool(dpkg_deb=(2, "", "not a Debian archive"))).file_spec("/x.deb")


@pytest.mark.parametrize(
    "out, expected",
    [
        ("criu:\n  Installed: (none)\n  Candidate: 4.2.1-1\n", "4.2.1-1"),
        ("x:\n  Candidate: (none)\n", None),
        ("", None),
    ],
)
def test_apts_candidate(out, expected):
    assert apt.Apt(Tool(policy=(0, out, ""))).candidate("criu", "") == expected


def test_apts_versions_and_holds():
    madison = " kubelet | 1.36.2-1.1 | file:/srv ./ Packages\n kubelet | 1.36.1-1.1 | file:/srv ./ Packages\n"
    tool = Tool(madison=(0, madison, ""), dpkg_query=(0, DPKG, ""), hold=(0, "", ""), unhold=(1, "", "no dpkg"))
    manager = apt.Apt(tool)
    assert manager.versions("kubelet") == ["1.36.2-1.1", "1.36.1-1.1"]
    assert manager.hold(["criu", "runc", "never"]) == ["criu"] and tool.calls[-1] == ["apt-mark", "hold", "criu"]
    assert manager.hold(["runc"]) == [] and tool.calls[-1][0] == "dpkg-query"
    with pytest.raises(CheckpointError, match="apt-mark unhold criu failed: no dpkg"):
        manager.unhold(["criu"])


REPOSITORY = {"name": "crio", "uris": ["https://a/", "https://b/"], "suites": ["/"], "components": []}


def test_an_apt_repository_as_text():
    text = apt.render_repository(dict(REPOSITORY, archived=True), "/etc/apt/keyrings/crio.asc")
    assert text.splitlines()[1:] == [
        "Types: deb",
        "URIs: https://a/ https://b/",
        "Suites: /",
        "Check-Valid-Until: no",
        "Signed-By: /etc/apt/keyrings/crio.asc",
    ]
    assert "Trusted: yes" in apt.render_repository(dict(REPOSITORY, trusted=True), None)


RPMS = "criu\t0:3.19-5.el9\nkernel\t0:5.14.0-1.el9\niptables-nft\t0:1.8.10-1.el9\n"


def test_rpm_tells_what_is_there_and_what_is_locked():
    locks = "# comment\niptables-nft-0:1.8.10-1.*\n!criu-0:1-1.*\n"
    there = dnf.Dnf(Tool(_qa=(0, RPMS, "")), lambda path: locks).installed()
    assert there["criu"] == packages.Installed("0:3.19-5.el9") and there["iptables-nft"].held


def test_versions_of_rpms_match_with_and_without_release():
    manager = dnf.Dnf(Tool(), lambda path: None)
    for wanted in ("3.19", "3.19-5.el9", "0:3.19-5.el9"):
        assert manager.version_matches("0:3.19-5.el9", wanted)
    assert not manager.version_matches("0:3.19-5.el9", "3.18")


def test_dnf_installs_by_its_command_and_says_what_would_be_new():
    tool = Tool(install=(0, "", ""), _qa=(0, RPMS, ""))
    manager = dnf.Dnf(tool, lambda path: None)
    manager.refresh(60, False)
    manager.install([packages.Spec("cri-o", "1.36.6")], None, "elrepo-kernel")
    assert tool.calls[-1] == [
        "dnf",
        "-y",
        "--setopt=install_weak_deps=False",
        "--enablerepo=elrepo-kernel",
        "--setopt=metadata_expire=60",
        "install",
        "cri-o-1.36.6",
    ]
    assert manager.would_add([packages.Spec("cri-o"), packages.Spec("criu")], None, "") == ["cri-o"]


def test_dnfs_candidate_and_removal():
    def erase(argv):
        names = argv[argv.index("--test") + 1 :]
        if "iptables-nft" in names:
            return 1, "", "error: Failed dependencies:\n\tiptables is needed by (installed) firewalld-1.0-1.noarch\n"
        return 0, "", ""

    tool = Tool(repoquery=(0, "0:6.1.1-1.el8.elrepo\n", ""), _e=erase, _qa=(0, RPMS, ""))
    manager = dnf.Dnf(tool, lambda path: None)
    assert manager.candidate("kernel-lt", "elrepo-kernel") == "0:6.1.1-1.el8.elrepo"
    tool.answers["repoquery"] = (0, "0:6.1.0-1\n0:6.1.1-1\n", "")
    own = dnf.Dnf(tool, lambda path: None, ["kube"])
    assert own.versions("kubelet") == ["0:6.1.1-1", "0:6.1.0-1"]
    assert "--setopt=disable_excludes=kube" in tool.calls[-1]
    assert packages.removal(manager, ["criu", "iptables-nft"]) == (["criu"], ["iptables-nft"])


def test_a_dnf_repository_as_text():
    text = dnf.render_repository(REPOSITORY, "/etc/pki/rpm-gpg/RPM-GPG-KEY-crio")
    assert (
        "[crio]" in text
        and "baseurl=https://a/ https://b/" in text
        and "gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-crio" in text
    )
    assert "gpgcheck=0" in dnf.render_repository(dict(REPOSITORY, trusted=True), None)
    assert "excludepkgs=kubelet kubeadm\n" in dnf.render_repository(dict(REPOSITORY, exclude=["kubelet", "kubeadm"]), None)


def test_the_ledger():
    ledger = packages.read_ledger('{"packages": ["b"]}', "x").adding(["a"], ["/etc/y"])
    assert packages.read_ledger(ledger.text(), "x") == packages.Ledger(["a", "b"], ["/etc/y"])
    assert packages.read_ledger(None, "x") == packages.Ledger([], [])
    for bad in ("", "[]", '{"files": []}'):
        with pytest.raises(CheckpointError, match="restore or remove it"):
            packages.read_ledger(bad, "/the/path")
