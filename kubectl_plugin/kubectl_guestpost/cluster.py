"""GuestPostCRM's objects in one cluster, reached by the person's kubeconfig and with the person's rights."""

from __future__ import annotations

import difflib
import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import urllib3
from kubernetes import client, config, watch

from kubectl_guestpost.errors import PluginError, explained

GROUP, VERSION = "guestpostcrm.com", "v1alpha1"
# By the operator's name for it, in its namespace.
ROLLOUT = "rollout"
PAGE = 500
Object = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of objects. `word` is what people call one."""

    name: str
    plural: str
    word: str
    namespaced: bool = True


TENANT = Kind("GuestPostTenant", "guestposttenants", "tenant", namespaced=False)
EXPORT = Kind("TenantExport", "tenantexports", "export")
GRANT = Kind("SupportGrant", "supportgrants", "grant")
REQUEST = Kind("TenantRequest", "tenantrequests", "request")
RECEIPT = Kind("ErasureReceipt", "erasurereceipts", "receipt", namespaced=False)


def namespace_of(tenant: str) -> str:
    """The namespace of everything that is a tenant's."""
    return f"gpt-{tenant}"


class Cluster:
    """One cluster.

    Args:
        kubeconfig: path, or None for the usual places.
        context: of the kubeconfig, or None for the current one.
        user: to act as, if the person may.
        group: to act as a member of.
        timeout: seconds for one request.

    Raises:
        PluginError: there is no such kubeconfig or context.
    """

    def __init__(
        self,
        kubeconfig: str | None = None,
        context: str | None = None,
        user: str | None = None,
        group: str | None = None,
        timeout: float = 30.0,
    ) -> None:
        try:
            self._api = config.new_client_from_config(kubeconfig, context)
            _, present = config.list_kube_config_contexts(kubeconfig)
        except (config.ConfigException, OSError) as error:
            raise PluginError(f"no cluster to talk to: {error}") from None
        self.context = context or str(present["name"])
        if user:
            self._api.set_default_header("Impersonate-User", user)
        if group:
            self._api.set_default_header("Impersonate-Group", group)
        # A person waits: better an error now than urllib3's own attempts one after the other.
        self._api.rest_client.pool_manager.connection_pool_kw["retries"] = False
        self._objects = client.CustomObjectsApi(self._api)
        self._core = client.CoreV1Api(self._api)
        self._timeout = timeout

    def list(self, kind: Kind, tenant: str = "", selector: str = "") -> Iterator[Object]:
        """All objects of a kind, of one tenant if it is named, page by page."""
        token = ""
        while True:
            with self._asking(f"list {kind.plural}"):
                page: Any = self._call(
                    "list", kind, tenant, limit=PAGE, _continue=token or None, label_selector=selector or None
                )
            yield from page["items"]
            token = page["metadata"].get("continue", "")
            if not token:
                return

    def get(self, kind: Kind, name: str, tenant: str = "") -> Object:
        """One object (PluginError when there is none, with the names that are alike)."""
        with self._asking(f"read {kind.word} {name}"):
            try:
                found: Object = self._call("get", kind, tenant, name=name)
            except client.ApiException as error:
                if error.status != 404:
                    raise
                raise self._missing(kind, name, tenant) from None
        return found

    def create(self, kind: Kind, body: Object, tenant: str) -> Object:
        """Make an object in a tenant's namespace."""
        whole = {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind.name, **body}
        with self._asking(f"make a {kind.word} of tenant {tenant}"):
            made: Object = self._call("create", kind, tenant, body=whole)
        return made

    def patch(self, kind: Kind, name: str, body: Object, doing: str) -> Object:
        """Change an object by a merge patch; with a resourceVersion in it only if it is still that one."""
        with self._asking(doing):
            changed: Object = self._call("patch", kind, "", name=name, body=body)
        return changed

    def delete(self, kind: Kind, name: str, doing: str, tenant: str = "") -> None:
        """Delete an object; what it takes with it goes on by itself."""
        with self._asking(doing):
            self._call("delete", kind, tenant, name=name)

    def rollout(self, namespace: str) -> Object:
        """The ConfigMap in the operator's namespace that says whether the rollout is paused."""
        with self._asking("see whether the rollout is paused"), _rollout_in(namespace):
            read = self._core.read_namespaced_config_map
            found = read(ROLLOUT, namespace, _request_timeout=self._timeout)
        plain: Object = self._api.sanitize_for_serialization(found)
        return plain

    def write_rollout(self, namespace: str, body: Object, doing: str) -> None:
        """Change it; see `patch`."""
        with self._asking(doing), _rollout_in(namespace):
            write = self._core.patch_namespaced_config_map
            write(ROLLOUT, namespace, body, _request_timeout=self._timeout)

    def follow(self, kind: Kind, name: str, tenant: str, deadline: float) -> Iterator[Object | None]:
        """An object as it is, then after each change; None once it is gone. `deadline` is monotonic."""
        while (left := deadline - time.monotonic()) > 0:
            try:
                now = self.get(kind, name, tenant)
            except _MissingError:
                yield None
                return
            yield now
            with self._asking(f"watch {kind.word} {name}"):
                yield from self._changes(kind, name, tenant, now["metadata"]["resourceVersion"], left)

    def _changes(
        self, kind: Kind, name: str, tenant: str, version: str, seconds: float
    ) -> Iterator[Object | None]:
        function = getattr(self._objects, f"list_{_scope(kind)}_custom_object")
        stream = watch.Watch().stream(
            function,
            *self._where(kind, tenant),
            field_selector=f"metadata.name={name}",
            resource_version=version,
            timeout_seconds=max(1, min(int(seconds), 300)),
        )
        try:
            for event in stream:
                if event["type"] in ("ADDED", "MODIFIED"):
                    yield event["object"]
                else:
                    # Gone, or the watch has to begin anew: looked at once more.
                    return
        except client.ApiException as error:
            if error.status != 410:
                raise

    def _call(self, verb: str, kind: Kind, tenant: str, **arguments: Any) -> Any:
        function = getattr(self._objects, f"{verb}_{_scope(kind)}_custom_object")
        given = {key: value for key, value in arguments.items() if value is not None}
        return function(*self._where(kind, tenant), **given, _request_timeout=self._timeout)

    def _where(self, kind: Kind, tenant: str) -> tuple[str, ...]:
        return (GROUP, VERSION, *((namespace_of(tenant),) if kind.namespaced else ()), kind.plural)

    def _missing(self, kind: Kind, name: str, tenant: str) -> PluginError:
        """Why there is no such object."""
        try:
            names = [each["metadata"]["name"] for each in itertools.islice(self.list(kind, tenant), 5 * PAGE)]
        except PluginError as error:
            return error
        alike = difflib.get_close_matches(name, names, n=3)
        hint = f" Did you mean {' or '.join(alike)}?" if alike else ""
        whose = f" of tenant {tenant}" if tenant else ""
        return _MissingError(f"there is no {kind.word} {name}{whose} in context {self.context}.{hint}")

    @contextmanager
    def _asking(self, doing: str) -> Iterator[None]:
        try:
            yield
        except client.ApiException as error:
            if error.status == 404:
                raise PluginError(
                    f"GuestPostCRM is not installed in the cluster of context {self.context}, or it is older "
                    "than this plugin"
                ) from None
            raise explained(error, doing) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise PluginError(
                f"could not {doing}: the API server of context {self.context} does not answer "
                f"({type(error).__name__})"
            ) from None


@contextmanager
def _rollout_in(namespace: str) -> Iterator[None]:
    try:
        yield
    except client.ApiException as error:
        if error.status != 404:
            raise
        raise PluginError(
            f"there is no ConfigMap {ROLLOUT} in namespace {namespace}: say with --namespace where the "
            "operator is"
        ) from None


class _MissingError(PluginError):
    """There is no such object."""


def _scope(kind: Kind) -> str:
    return "namespaced" if kind.namespaced else "cluster"
