# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket
import threading
import time

import pytest

from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._errors import InputError, TransportError
from ansible_collections.container_checkpoint.kubernetes.plugins.module_utils._http import (
    HttpClient,
    Tls,
    certificate_fingerprint,
    normal_fingerprint,
)
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.httpserver import serving
from ansible_collections.container_checkpoint.kubernetes.tests.unit.plugins.support.tls import Pki


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


def echo(handler):
    handler.reply(200, "%s %s %s" % (handler.command, handler.path, handler.headers.get("Authorization")), X_Seen="1")


def fails(client, url, kind, **kwargs):
    with pytest.raises(TransportError) as caught:
        client.send("GET", url, **kwargs)
    assert caught.value.details["transport"] == kind, caught.value.msg
    return caught.value.msg


def test_plain_request():
    with serving(echo) as url:
        answer = HttpClient().send("POST", url + "/a/b?c=d", headers={"Authorization": "Bearer t"}, body=b"x")
    assert answer.status == 200 and answer.body == b"POST /a/b?c=d Bearer t" and answer.headers["x-seen"] == "1"


def test_any_status_is_an_answer_and_redirects_are_not_followed():
    seen = []

    def redirect(handler):
        seen.append(handler.path)
        handler.reply(307, "elsewhere", Location="/other")

    with serving(redirect) as url:
        answer = HttpClient().send("GET", url + "/first", headers={"Authorization": "Bearer t"})
    assert (answer.status, answer.headers["location"], seen) == (307, "/other", ["/first"])


def test_bodies_are_not_decompressed():
    with serving(lambda handler: handler.reply(200, b"\x1f\x8bnot really", Content_Encoding="gzip")) as url:
        assert HttpClient().send("GET", url).body == b"\x1f\x8bnot really"


def test_repeated_headers_are_joined():
    def twice(handler):
        handler.send_response(401)
        handler.send_header("WWW-Authenticate", "Basic realm=a")
        handler.send_header("WWW-Authenticate", "Bearer realm=b")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with serving(twice) as url:
        assert HttpClient().send("GET", url).headers["www-authenticate"] == "Basic realm=a, Bearer realm=b"


def test_streamed_upload_and_download():
    blocks = [b"a" * 70000, b"b" * 70000]

    def give_back(handler):
        handler.reply(201, handler.body)

    received = bytearray()
    with serving(give_back) as url:
        answer = HttpClient().send(
            "PUT", url, headers={"Content-Length": "140000"}, body=iter(blocks), sink=received.extend
        )
    assert answer.body == b"" and bytes(received) == b"".join(blocks)


def test_bodies_are_cut_at_the_limit():
    with serving(lambda handler: handler.reply(200, b"x" * 100000)) as url:
        assert len(HttpClient().send("GET", url, max_body=1000).body) == 1000


def test_cut_off_answers():
    def cut(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"only this")
        handler.close_connection = True

    with serving(cut) as url:
        assert "the answer was cut off" in fails(HttpClient(), url, "closed")
        assert "the answer was cut off" in fails(HttpClient(), url, "closed", sink=lambda chunk: None)


def test_an_early_answer_to_a_broken_upload_is_read():
    """A server that refuses in the middle of an upload and hangs up: what it said is what we report."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)

    def refuse():
        peer = listener.accept()[0]
        peer.recv(1000)
        peer.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        peer.shutdown(socket.SHUT_WR)
        time.sleep(0.2)
        while peer.recv(1 << 20):
            pass
        peer.close()

    threading.Thread(target=refuse, daemon=True).start()
    answer = HttpClient().send(
        "PUT",
        "http://127.0.0.1:%d/" % listener.getsockname()[1],
        headers={"Content-Length": str(1 << 24)},
        body=[b"x" * (1 << 24)],
    )
    listener.close()
    assert (answer.status, answer.body) == (413, b"big")


def test_unreachable():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    msg = fails(HttpClient(), "https://127.0.0.1:%d/x?secret=1" % port, "refused")
    assert (
        msg
        == "no answer from https://127.0.0.1:%d: the connection was refused; nothing listens there, or a firewall"
        " refuses it" % port
    )
    assert "the host name cannot be resolved" in fails(HttpClient(), "https://no-such-host.invalid/", "dns")


def test_silence():
    with serving(lambda handler: time.sleep(1)) as url:
        assert fails(HttpClient(), url, "timeout", timeout=0.2).endswith("nothing came back within 0.2 s")


def test_a_server_that_hangs_up_and_one_that_speaks_something_else():
    def hang_up(handler):
        handler.close_connection = True

    with serving(hang_up) as url:
        assert "closed the connection without an answer" in fails(HttpClient(), url, "closed")
        assert "does not speak TLS on this port" in fails(HttpClient(), url.replace("http:", "https:"), "tls_protocol")


@pytest.mark.parametrize("url", ["ftp://host/", "https:///x", "https://user:pw@host/", "https://host:99999/", "host/x"])
def test_urls_that_cannot_be_called(url):
    with pytest.raises(InputError, match="is not a URL that can be called"):
        HttpClient().send("GET", url)


def test_the_right_ca(pki):
    with serving(echo, pki.path("server.pem"), pki.path("server.key")) as url:
        assert HttpClient(Tls(ca_cert=pki.path("ca.pem"))).send("GET", url + "/x").body == b"GET /x None"


def test_wrong_ca_and_no_ca(pki):
    with serving(echo, pki.path("server.pem"), pki.path("server.key")) as url:
        msg = fails(HttpClient(Tls(ca_cert=pki.path("other_ca.pem"))), url, "tls_ca")
        assert "its certificate is not signed by a CA of %s" % pki.path("other_ca.pem") in msg
        assert "a CA that this machine trusts" in fails(HttpClient(), url, "tls_ca")


def test_expired_certificate(pki):
    with serving(echo, pki.path("expired.pem"), pki.path("expired.key")) as url:
        assert "its certificate has expired" in fails(HttpClient(Tls(ca_cert=pki.path("ca.pem"))), url, "tls_expired")


def test_certificate_for_another_name(pki):
    with serving(echo, pki.path("othername.pem"), pki.path("othername.key")) as url:
        assert "is not made out for this name" in fails(HttpClient(Tls(ca_cert=pki.path("ca.pem"))), url, "tls_host")


def test_no_validation_only_when_asked(pki):
    with serving(echo, pki.path("expired.pem"), pki.path("expired.key")) as url:
        assert HttpClient(Tls(validate_certs=False)).send("GET", url).status == 200


def test_pinned_fingerprint(pki):
    fingerprint = certificate_fingerprint(pki.path("othername.pem"))
    seen = []

    def note(handler):
        seen.append(handler.headers["Authorization"])
        echo(handler)

    with serving(note, pki.path("othername.pem"), pki.path("othername.key")) as url:
        colons = ":".join(fingerprint[i : i + 2] for i in range(0, 64, 2)).upper()
        assert (
            HttpClient(Tls(fingerprint="SHA256:" + colons))
            .send("GET", url, headers={"Authorization": "Bearer a"})
            .status
            == 200
        )
        msg = fails(HttpClient(Tls(fingerprint="0" * 64)), url, "fingerprint", headers={"Authorization": "Bearer b"})
    assert "SHA-256 of the one presented: %s" % fingerprint in msg
    assert seen == ["Bearer a"]


def test_client_certificate(pki):
    with serving(echo, pki.path("server.pem"), pki.path("server.key"), client_ca=pki.path("ca.pem")) as url:

        def client(name):
            return HttpClient(
                Tls(ca_cert=pki.path("ca.pem"), client_cert=pki.path(name + ".pem"), client_key=pki.path(name + ".key"))
            )

        assert client("client").send("GET", url).status == 200
        with pytest.raises(TransportError) as caught:
            client("stranger").send("GET", url)
        # The alert may arrive before or after the connection is torn down.
        assert caught.value.details["transport"] in ("tls_client", "closed")


def test_unusable_files(pki, tmp_path):
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("nothing")
    for tls, text in (
        (Tls(ca_cert="/no/such.pem"), "ca_cert /no/such.pem cannot be read: No such file"),
        (Tls(ca_cert=str(garbage)), "holds no certificate in PEM format"),
        (Tls(client_cert=str(garbage)), "cannot be used"),
        (
            Tls(client_cert=pki.path("client.pem"), client_key=pki.path("server.key")),
            "cannot be used: key values mismatch",
        ),
    ):
        with pytest.raises(InputError, match=text):
            HttpClient(tls).send("GET", "https://127.0.0.1:1/")
    with pytest.raises(InputError, match="holds no certificate"):
        certificate_fingerprint(str(garbage))
    with pytest.raises(InputError, match="cannot be read"):
        certificate_fingerprint("/no/such.pem")


@pytest.mark.parametrize(
    "text",
    [
        "ab" * 32,
        "AB:" * 31 + "AB",
        "sha256:" + "ab" * 32,
        "SHA256 Fingerprint=" + "AB:" * 31 + "AB",
        "sha256 Fingerprint=" + "ab" * 32,
    ],
)
def test_spellings_of_a_fingerprint(text):
    assert normal_fingerprint(text) == "ab" * 32


@pytest.mark.parametrize("text", ["", "ab" * 20, "xy" * 32, "sha1:" + "ab" * 20])
def test_not_a_fingerprint(text):
    with pytest.raises(InputError, match="is not a SHA-256 fingerprint"):
        HttpClient(Tls(fingerprint=text or " "))


def test_through_a_proxy(pki):
    seen = []

    def proxy():
        peer = listener.accept()[0]
        request = b""
        while not request.endswith(b"\r\n\r\n"):  # Python 3.9 sends the request line and its end apart.
            request += peer.recv(4096)
        seen.append(request.split(b"\r\n")[0])
        target = request.split(b" ")[1].decode().rpartition(":")
        upstream = socket.create_connection((target[0], int(target[2])))
        peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

        def pump(source, sink):
            while True:
                try:
                    data = source.recv(65536)
                    if not data:
                        return
                    sink.sendall(data)
                except OSError:
                    return

        threading.Thread(target=pump, args=(upstream, peer), daemon=True).start()
        pump(peer, upstream)

    with socket.socket() as listener, serving(echo, pki.path("server.pem"), pki.path("server.key")) as url:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        threading.Thread(target=proxy, daemon=True).start()
        client = HttpClient(Tls(ca_cert=pki.path("ca.pem")), proxy="http://127.0.0.1:%d" % listener.getsockname()[1])
        assert client.send("GET", url + "/through").body == b"GET /through None"
    assert seen[0].startswith(b"CONNECT 127.0.0.1:")
    with pytest.raises(InputError, match="proxy 'socks5://x' is not http"):
        HttpClient(proxy="socks5://x").send("GET", "http://127.0.0.1/")
