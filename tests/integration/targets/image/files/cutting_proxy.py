# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cutting_proxy.py LISTEN_PORT TARGET_PORT BYTES CUTS: pass TCP connections on, but break the first CUTS of those that
carry more than BYTES towards the target. Ends by itself when its parent is gone for ten minutes."""

from __future__ import annotations

import socket
import sys
import threading


def pump(source, sink, limit, cuts):
    """Pass bytes on; break both connections at the limit, as often as cuts has entries."""
    done = 0
    try:
        while True:
            block = source.recv(65536)
            if not block:
                break
            sink.sendall(block)
            done += len(block)
            if limit and done > limit and cuts:
                cuts.pop()
                print("cut after %d bytes" % done, flush=True)
                break
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def main():
    listen, target, limit, number = (int(argument) for argument in sys.argv[1:])
    cuts = list(range(number))
    with socket.create_server(("127.0.0.1", listen)) as server:
        server.settimeout(600)
        while True:
            client = server.accept()[0]
            upstream = socket.create_connection(("127.0.0.1", target))
            threading.Thread(target=pump, args=(client, upstream, limit, cuts), daemon=True).start()
            threading.Thread(target=pump, args=(upstream, client, 0, cuts), daemon=True).start()


if __name__ == "__main__":
    main()
