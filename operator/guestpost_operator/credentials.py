"""Content of a tenant's Secrets. Generated once, never logged, never read back whole.

All are immutable but the web's certificate, which is made again under the same name while pods have it
mounted: a kubelet reads an immutable Secret once (docs/decisions/keys.md).
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from guestpost_operator.api import names
from guestpost_operator.revision import Object
from guestpost_operator.rotation import Stage

# The hop from gateway to web is inside the cluster and pinned to this very certificate,
# so it may live long; it is replaced well before its end.
CERTIFICATE_DAYS = 825
RENEW_BEFORE = timedelta(days=90)


# What an exchange renews in the tenant's keys, and where the CRM finds what else opens and verifies.
EXCHANGED = ("django-secret-key", "tenant-key")
FALLBACKS = "-fallbacks"


def database(namespace: str, labels: dict[str, str], login: str = names.LOGIN) -> Object:
    """A login of the application's, as CloudNativePG reads it (kubernetes.io/basic-auth)."""
    data = {"username": login, "password": secrets.token_urlsafe(32)}
    # CloudNativePG looks at a Secret again when it is another one, if this label is on it.
    labels = labels | {"cnpg.io/reload": "true"}
    return _secret(names.LOGINS[login], namespace, labels, "kubernetes.io/basic-auth", data)


def tenant_key() -> bytes:
    """A new key of a tenant, which its data keys are wrapped with."""
    return secrets.token_bytes(32)


def keys(namespace: str, labels: dict[str, str], wrapped: str = "") -> Object:
    """Django's secret key, the tenant's key, and the one that its web signs approvals of support with.

    The last is an Ed25519 key in base64, whose public half stands beside it for everybody to check with.

    Args:
        namespace: the tenant's.
        labels: of the Secret.
        wrapped: the tenant's key as KMS gave it; by default there is a new one as it is, in base64.
    """
    approval = Ed25519PrivateKey.generate()
    data = {
        **_fresh(wrapped),
        "approval-key": base64.b64encode(approval.private_bytes_raw()).decode(),
    }
    secret = _secret(names.SECRET_KEYS, namespace, labels, "Opaque", data)
    public = base64.b64encode(approval.public_key().public_bytes_raw()).decode()
    secret["metadata"]["annotations"] = {names.ANNOTATION_APPROVAL_KEY: public}
    return secret


def _fresh(wrapped: str) -> dict[str, str]:
    return {
        "django-secret-key": secrets.token_urlsafe(48),
        "tenant-key": wrapped or base64.b64encode(tenant_key()).decode(),
    }


def exchanged(current: Object, stage: Stage, wrapped: str = "") -> Object:
    """The Secret that waits to take the place of the tenant's keys, with what a stage changes of them.

    Args:
        current: the keys, whole.
        stage: of the exchange; the ones before it have to be over.
        wrapped: in the first stage, a new tenant's key as KMS gave it; see `keys`.
    """
    data = {key: base64.b64decode(value).decode() for key, value in current["data"].items()}
    fresh = _fresh(wrapped)
    for key in EXCHANGED:
        other = data.pop(f"{key}{FALLBACKS}", "")
        if stage == Stage.INTRODUCED:
            data[f"{key}{FALLBACKS}"] = fresh[key]
        elif stage == Stage.SWITCHED:
            data[key], data[f"{key}{FALLBACKS}"] = other, data[key]
    metadata = current["metadata"]
    waiting = _secret(
        names.SECRET_KEYS_NEXT, metadata["namespace"], metadata["labels"], current["type"], data
    )
    waiting["metadata"]["annotations"] = {
        key: value
        for key, value in (metadata.get("annotations") or {}).items()
        if key == names.ANNOTATION_APPROVAL_KEY
    } | {names.ANNOTATION_STAGE: stage, names.ANNOTATION_REPLACES: metadata["uid"]}
    return waiting


def in_place(waiting: Object) -> Object:
    """The tenant's keys, with what waited to take their place."""
    metadata = waiting["metadata"]
    annotations = dict(metadata["annotations"])
    del annotations[names.ANNOTATION_REPLACES]
    annotations[names.ANNOTATION_MADE_FROM] = metadata["uid"]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": names.SECRET_KEYS,
            "namespace": metadata["namespace"],
            "labels": metadata["labels"],
            "annotations": annotations,
        },
        "type": waiting["type"],
        "immutable": True,
        "data": waiting["data"],
    }


def copy(keys: Object, name: str) -> Object:
    """The tenant's keys under another name, for pods to mount."""
    metadata = keys["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": metadata["namespace"], "labels": metadata["labels"]},
        "type": keys["type"],
        "immutable": True,
        "data": keys["data"],
    }


def web_tls(namespace: str, labels: dict[str, str], hostname: str, now: datetime) -> Object:
    """A self-signed certificate for the web's service and host name (kubernetes.io/tls, P-256)."""
    key = ec.generate_private_key(ec.SECP256R1())
    hosts = [x509.DNSName(each) for each in _web_names(namespace, hostname)]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "web")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True, key_cert_sign=True, crl_sign=False, content_commitment=False,
                key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    data = {
        "tls.crt": certificate.public_bytes(serialization.Encoding.PEM).decode(),
        "tls.key": private.decode(),
    }
    return _secret(names.SECRET_WEB_TLS, namespace, labels, "kubernetes.io/tls", data, immutable=False)


def certificate_of(secret: Object) -> str:
    """The public certificate in a kubernetes.io/tls Secret, PEM; empty when there is none."""
    text = (secret.get("data") or {}).get("tls.crt", "")
    return base64.b64decode(text).decode(errors="replace")


@dataclass(frozen=True)
class Certificate:
    """What matters of the web's certificate: until when and for which names it is good."""

    pem: str
    until: datetime
    hosts: frozenset[str]

    def serves(self, namespace: str, hostname: str, now: datetime) -> bool:
        """Whether it need not be replaced yet."""
        return now + RENEW_BEFORE < self.until and self.hosts >= set(_web_names(namespace, hostname))


def read_certificate(pem: str) -> Certificate | None:
    """Read a certificate; None when it is none."""
    try:
        parsed = x509.load_pem_x509_certificate(pem.encode())
        extension = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return None
    hosts = frozenset(extension.get_values_for_type(x509.DNSName))
    return Certificate(pem=pem, until=parsed.not_valid_after_utc.astimezone(UTC), hosts=hosts)


def _web_names(namespace: str, hostname: str) -> Iterable[str]:
    return (f"web.{namespace}.svc", "web", f"web.{namespace}", hostname)


def _secret(
    name: str,
    namespace: str,
    labels: dict[str, str],
    kind: str,
    data: dict[str, str],
    *,
    immutable: bool = True,
) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "type": kind,
        # If so, the API server itself refuses every later change of the data.
        "immutable": immutable,
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }
