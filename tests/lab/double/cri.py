# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small client of a real container runtime's CRI socket, for the doubles of crictl and of the kubelet.

Errors keep the words that Go's gRPC library gives them, since the kubelet passes them on:
``rpc error: code = Unknown desc = ...``.
"""

from __future__ import annotations

import threading
import typing as t

import grpc

from cri_errors import CriError
from cri_messages import CLASSES, IMAGE_METHODS, PACKAGE, RUNTIME_METHODS, message

DEFAULT_ENDPOINT = "unix:///run/containerd/containerd.sock"
# A checkpoint verbose status of a container with many mounts is larger than gRPC's 4 MiB; Kubernetes allows 16 MiB.
MAX_MESSAGE = 16 * 1024 * 1024

# grpc-python names codes in capitals, Go in camel case
_GO_CODES = {
    "OK": "OK",
    "CANCELLED": "Canceled",
    "UNKNOWN": "Unknown",
    "INVALID_ARGUMENT": "InvalidArgument",
    "DEADLINE_EXCEEDED": "DeadlineExceeded",
    "NOT_FOUND": "NotFound",
    "ALREADY_EXISTS": "AlreadyExists",
    "PERMISSION_DENIED": "PermissionDenied",
    "RESOURCE_EXHAUSTED": "ResourceExhausted",
    "FAILED_PRECONDITION": "FailedPrecondition",
    "ABORTED": "Aborted",
    "OUT_OF_RANGE": "OutOfRange",
    "UNIMPLEMENTED": "Unimplemented",
    "INTERNAL": "Internal",
    "UNAVAILABLE": "Unavailable",
    "DATA_LOSS": "DataLoss",
    "UNAUTHENTICATED": "Unauthenticated",
}
# What a real kubelet shows when its deadline passed while containerd was at work (FACTS 10.1).
_DEADLINE_TEXT = "stream terminated by RST_STREAM with error code: CANCEL"


def _translated(method: str, exc: t.Any) -> CriError:
    code = _GO_CODES.get(exc.code().name, exc.code().name)
    desc = exc.details() or ""
    if code == "DeadlineExceeded" and desc == "Deadline Exceeded":
        desc = _DEADLINE_TEXT if method == "CheckpointContainer" else "context deadline exceeded"
    return CriError(code, desc)


class Call:
    """A call under way: look at it, wait for it, cancel it."""

    def __init__(self, method: str, future: t.Any) -> None:
        self._method, self._future = method, future
        self._done = threading.Event()
        future.add_done_callback(lambda _future: self._done.set())

    def wait(self, seconds: float) -> bool:
        return self._done.wait(seconds)

    def cancel(self) -> None:
        self._future.cancel()

    def result(self) -> t.Any:
        try:
            return self._future.result()
        except grpc.RpcError as exc:
            raise _translated(self._method, exc) from None


class Cri:
    """One connection to a CRI socket; every method of the API that the doubles need is a Python method.

    ``cri.call("ContainerStatus", container_id=ID, verbose=True)`` returns the response message.
    """

    def __init__(self, endpoint: str = DEFAULT_ENDPOINT, timeout: float = 120.0) -> None:
        if endpoint.startswith("/"):
            endpoint = "unix://" + endpoint
        self.endpoint = endpoint
        self.timeout = timeout
        # containerd refuses the authority that grpc-python makes of a unix path ("%2Frun%2F...")
        self._channel = grpc.insecure_channel(
            endpoint,
            options=[
                ("grpc.default_authority", "localhost"),
                ("grpc.max_receive_message_length", MAX_MESSAGE),
                ("grpc.max_send_message_length", MAX_MESSAGE),
                ("grpc.enable_http_proxy", 0),
            ],
        )
        self._methods: dict[str, t.Any] = {}
        for service, names in (("RuntimeService", RUNTIME_METHODS), ("ImageService", IMAGE_METHODS)):
            for name in names:
                self._methods[name] = self._channel.unary_unary(
                    f"/{PACKAGE}.{service}/{name}",
                    request_serializer=CLASSES[name + "Request"].SerializeToString,
                    response_deserializer=CLASSES[name + "Response"].FromString,
                )

    def call(self, method: str, *, deadline: t.Optional[float] = None, **fields: t.Any) -> t.Any:
        """Call one method. deadline: seconds, None for the client's own, 0 for none at all."""
        request = message(method + "Request", **fields)
        limit = self.timeout if deadline is None else (deadline or None)
        try:
            return self._methods[method](request, timeout=limit, wait_for_ready=False)
        except grpc.RpcError as exc:
            raise _translated(method, exc) from None

    def close(self) -> None:
        self._channel.close()

    def begin_checkpoint(self, container_id: str, location: str, timeout: int = 0) -> Call:
        """CheckpointContainer with the rule of Kubernetes' CRI client: ``timeout`` can only lengthen (FACTS 1.1)."""
        if timeout < 0:
            raise ValueError("CheckpointContainer requires the timeout value to be > 0")
        request = message(
            "CheckpointContainerRequest",
            container_id=container_id,
            location=location,
            timeout=max(timeout, int(self.timeout)),
        )
        future = self._methods["CheckpointContainer"].future(request, timeout=max(float(timeout), self.timeout))
        return Call("CheckpointContainer", future)

    def checkpoint(self, container_id: str, location: str, timeout: int = 0) -> None:
        self.begin_checkpoint(container_id, location, timeout).result()

    def stop(self, container_id: str, grace: int) -> None:
        """StopContainer; the deadline leaves the grace period and the client's own time-out."""
        self.call("StopContainer", deadline=self.timeout + grace, container_id=container_id, timeout=grace)

    def containers(self, **filter_fields: t.Any) -> list[t.Any]:
        return list(self.call("ListContainers", filter=filter_fields).containers)

    def sandboxes(self, **filter_fields: t.Any) -> list[t.Any]:
        return list(self.call("ListPodSandbox", filter=filter_fields).items)

    def status(self, container_id: str) -> t.Any:
        return self.call("ContainerStatus", container_id=container_id).status
