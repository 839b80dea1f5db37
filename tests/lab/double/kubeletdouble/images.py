# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Getting a container's image: pull policy, pull secrets, back-off, and the events of it."""

from __future__ import annotations

import base64
import json
import threading
import time
import typing as t

from cri_errors import CriError
from kubeletdouble.apiclient import ApiClient, ApiFailure
from kubeletdouble.events import Events
from kubeletdouble.spec import SpecError, normalised, registry_of

FIRST_BACKOFF, LONGEST_BACKOFF = 10.0, 300.0


class Waiting(Exception):
    """The container cannot be started now; reason and message go into its waiting state."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Backoff:
    """10 s after the first failure, doubled at every further one up to five minutes, new after twice that in peace."""

    def __init__(self) -> None:
        self._entries: dict[t.Any, tuple[float, float]] = {}

    def delay(self, key: t.Any) -> float:
        return self._entries.get(key, (0.0, 0.0))[0]

    def left(self, key: t.Any, since: t.Optional[float] = None) -> float:
        """Seconds still to wait; ``since`` is when the trouble was (time.time()), else the last ``failed``."""
        delay, updated = self._entries.get(key, (0.0, 0.0))
        return max(0.0, delay - (time.time() - (updated if since is None else since)))

    def failed(self, key: t.Any) -> None:
        delay, updated = self._entries.get(key, (0.0, 0.0))
        if time.time() - updated > 2 * LONGEST_BACKOFF:
            delay = 0.0
        self._entries[key] = (min(LONGEST_BACKOFF, delay * 2) if delay else FIRST_BACKOFF, time.time())

    def forget(self, key: t.Any) -> None:
        self._entries.pop(key, None)


def pull_error(exc: CriError) -> str:
    """Kubernetes' CRI client drops the code of an unknown error when it pulls."""
    return exc.desc if exc.code == "Unknown" else str(exc)


def credentials(configs: t.Iterable[bytes], image: str) -> list[dict[str, str]]:
    """Every login for the image's registry in the given docker configurations."""
    registry = registry_of(image)
    found = []
    for raw in configs:
        entries = json.loads(raw)
        for address, entry in entries.get("auths", entries).items():
            host = address.partition("://")[2] or address
            if host.partition("/")[0] != registry:
                continue
            if entry.get("auth"):
                user, _sep, password = base64.b64decode(entry["auth"]).decode().partition(":")
                found.append({"username": user, "password": password, "server_address": address})
            elif entry.get("username"):
                found.append({"username": entry["username"], "password": entry["password"], "server_address": address})
    return found


def readable(seconds: float) -> str:
    return f"{seconds * 1000:.0f}ms" if seconds < 1 else f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"


class Images:
    def __init__(self, runtime: t.Any, api: ApiClient, events: Events) -> None:
        self._cri, self._api, self._events = runtime, api, events
        self._serial = threading.Lock()  # serializeImagePulls
        self._backoff = Backoff()
        self._messages: dict[t.Any, str] = {}

    def _secrets(self, pod: dict) -> list[bytes]:
        configs = []
        for reference in pod["spec"].get("imagePullSecrets") or []:
            try:
                secret = self._api.request(
                    "GET", f"/api/v1/namespaces/{pod['metadata']['namespace']}/secrets/{reference['name']}"
                )
            except ApiFailure:
                self._events.record(
                    pod,
                    "Warning",
                    "FailedToRetrieveImagePullSecret",
                    "Unable to retrieve some image pull "
                    f"secrets ({reference['name']}); attempting to pull the image may not succeed.",
                )
                continue
            for key in (".dockerconfigjson", ".dockercfg"):
                if key in secret.get("data", {}):
                    configs.append(base64.b64decode(secret["data"][key]))
        return configs

    def ensure(self, pod: dict, container: dict) -> t.Any:
        """The image as the runtime knows it (ImageStatus.image), pulled if the policy wants it."""
        name, policy = container["image"], container.get("imagePullPolicy", "IfNotPresent")
        try:
            spec = {"image": normalised(name)}
        except SpecError as exc:
            self._events.record(pod, "Warning", "InspectFailed", str(exc), container)
            raise Waiting("InvalidImageName", str(exc)) from None
        present = self._cri.call("ImageStatus", image=spec).image
        if policy == "Never" and not present.id:
            message = f'Container image "{name}" is not present with pull policy of Never'
            self._events.record(pod, "Warning", "ErrImageNeverPull", message, container)
            raise Waiting("ErrImageNeverPull", message)
        if present.id and policy != "Always":
            self._events.record(
                pod,
                "Normal",
                "Pulled",
                f'Container image "{name}" already present on machine and can be accessed by the pod',
                container,
            )
            return present
        return self._pull(pod, container, spec)

    def _pull(self, pod: dict, container: dict, spec: dict[str, str]) -> t.Any:
        name = container["image"]
        key = (pod["metadata"]["uid"], name)
        if self._backoff.left(key):
            self._events.record(pod, "Normal", "BackOff", f'Back-off pulling image "{name}"', container)
            self._events.record(pod, "Warning", "Failed", "Error: ImagePullBackOff", container)
            raise Waiting(
                "ImagePullBackOff", f'Back-off pulling image "{name}": ErrImagePull: {self._messages.get(key, "")}'
            )
        self._events.record(pod, "Normal", "Pulling", f'Pulling image "{name}"', container)
        asked = time.monotonic()
        with self._serial:
            began = time.monotonic()
            failure: t.Optional[CriError] = None
            for login in credentials(self._secrets(pod), name) or [None]:
                try:
                    fields = {"image": spec, **({"auth": login} if login else {})}
                    reference = self._cri.call("PullImage", deadline=0, **fields).image_ref
                    failure = None
                    break
                except CriError as exc:
                    failure = exc
        if failure is not None:
            message = f'Failed to pull image "{name}": {pull_error(failure)}'
            self._backoff.failed(key)
            self._messages[key] = pull_error(failure)
            self._events.record(pod, "Warning", "Failed", message, container)
            self._events.record(pod, "Warning", "Failed", "Error: ErrImagePull", container)
            raise Waiting("ErrImagePull", pull_error(failure))
        self._backoff.forget(key)
        image = self._cri.call("ImageStatus", image={"image": reference}).image
        took, whole = readable(time.monotonic() - began), readable(time.monotonic() - asked)
        self._events.record(
            pod,
            "Normal",
            "Pulled",
            f'Successfully pulled image "{name}" in {took} ({whole} including '
            f"waiting). Image size: {image.size} bytes.",
            container,
        )
        return image
