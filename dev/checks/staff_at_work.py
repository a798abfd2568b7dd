"""The dashboard's API server as an admin and in the operator's place."""

from __future__ import annotations

from typing import Any

import yaml
from dashboard_world import NAMESPACE, World, status

GROUP, VERSION = "guestpostcrm.com", "v1alpha1"


class Cluster:
    """The API server, as an admin and in the operator's place."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.made: list[str] = []

    def tenant(self, name: str, *, served: bool = True, **spec: Any) -> None:
        """Make a tenant that nobody works on; `served`: with a namespace and a status as if it ran."""
        self.world.tenant(name, **spec)
        self.made.append(name)
        if served:
            self.world.core.create_namespace({"metadata": {"name": f"gpt-{name}"}})
            self.status(name)

    def get(self, name: str) -> dict[str, Any]:
        """A tenant as it is."""
        found: dict[str, Any] = self.world.objects.get_cluster_custom_object(
            *self._of("guestposttenants"), name
        )
        return found

    def objects(self, plural: str, name: str) -> list[dict[str, Any]]:
        """What belongs to a tenant."""
        found: list[dict[str, Any]] = self.world.objects.list_namespaced_custom_object(
            GROUP, VERSION, f"gpt-{name}", plural
        )["items"]
        return found

    def status(self, name: str, **changes: Any) -> None:
        """Write a status, as the operator does."""
        self.world.says(name, {**status(name), **changes})

    def patch(self, name: str, **spec: Any) -> None:
        """Change a tenant, as somebody else would."""
        self.world.change(name, spec)

    def delete(self, name: str) -> None:
        """Delete a tenant."""
        self.world.delete(name)

    def rollout(self) -> dict[str, str]:
        """Whether the rollout is paused."""
        return dict(self.world.core.read_namespaced_config_map("rollout", NAMESPACE).data)

    def say(self, paused: str, reason: str = "") -> None:
        """Pause the rollout or resume it, as somebody else would."""
        data = {"paused": paused, "reason": reason}
        self.world.core.patch_namespaced_config_map("rollout", NAMESPACE, {"data": data})

    def create(self, text: str) -> None:
        """What kubectl apply does with a file."""
        body = yaml.safe_load(text)
        self.world.objects.create_cluster_custom_object(*self._of("guestposttenants"), body)

    @staticmethod
    def _of(plural: str) -> tuple[str, str, str]:
        return GROUP, VERSION, plural
