"""Certificates and keys of a cluster, made by the openssl command.

One authority signs everything: the API server, clients (whose common name is the user and whose
organisation is the group, https://kubernetes.io/docs/reference/access-authn-authz/authentication/)
and the front proxy. The keys live as long as the cluster's folder.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Sequence
from pathlib import Path

_DAYS = "3650"


def _openssl(*arguments: str | Path, stdin: str | None = None) -> None:
    subprocess.run(
        ["openssl", *(str(word) for word in arguments)],
        check=True,
        capture_output=True,
        text=True,
        input=stdin,
    )


class Authority:
    """A certificate authority in a folder; what it has signed once is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate = folder / "ca.crt"
        self.key = folder / "ca.key"
        folder.mkdir(parents=True, exist_ok=True)
        if not self.certificate.exists():
            self._new_key(self.key)
            unfinished = folder / "ca.crt.unfinished"
            self._request_self_signed(unfinished)
            unfinished.rename(self.certificate)

    def _request_self_signed(self, target: Path) -> None:
        _openssl(
            "req", "-x509", "-new", "-key", self.key, "-days", _DAYS, "-subj", "/CN=localkube",
            "-addext", "basicConstraints=critical,CA:TRUE",
            "-addext", "keyUsage=critical,keyCertSign,digitalSignature", "-out", target,
        )  # fmt: skip

    @staticmethod
    def _new_key(path: Path) -> None:
        path.touch(mode=0o600)
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)

    def issue(
        self, name: str, user: str, *, groups: Sequence[str] = (), alternatives: Sequence[str] = ()
    ) -> tuple[Path, Path]:
        """A certificate and its key for a server or a client.

        Args:
            name: file name without ending.
            user: common name.
            groups: organisations.
            alternatives: such as `DNS:kubernetes` or `IP:10.96.0.1`.
        """
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        if certificate.exists():
            return certificate, key
        self._new_key(key)
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={user}"
        request = self.folder / f"{name}.csr"
        _openssl("req", "-new", "-key", key, "-subj", subject, "-out", request)
        extensions = self.folder / f"{name}.ext"
        lines = ["keyUsage=critical,digitalSignature", "extendedKeyUsage=serverAuth,clientAuth"]
        if alternatives:
            lines.append(f"subjectAltName={','.join(alternatives)}")
        extensions.write_text("\n".join(lines))
        unfinished = self.folder / f"{name}.crt.unfinished"
        # By chance: a file that counts would be written by two processes at once.
        serial = f"0x{secrets.token_hex(16)}"
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key,
            "-set_serial", serial, "-days", _DAYS, "-extfile", extensions, "-out", unfinished,
        )  # fmt: skip
        unfinished.rename(certificate)
        request.unlink()
        extensions.unlink()
        return certificate, key

    def service_account_key(self) -> tuple[Path, Path]:
        """Private and public key that service account tokens are signed and checked with."""
        private, public = self.folder / "service-account.key", self.folder / "service-account.pub"
        if not public.exists():
            _openssl("genrsa", "-out", private, "2048")
            unfinished = public.with_suffix(".unfinished")
            _openssl("rsa", "-in", private, "-pubout", "-out", unfinished)
            unfinished.rename(public)
        return private, public
