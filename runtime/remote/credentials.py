"""What makes a server trusted and a client admitted: a certificate, and a token that names it.

A token is ``FINGERPRINT.SECRET``: the SHA-256 of the server's certificate, and 256 random bits.
With it a client knows the server before it says anything, and the server the client.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import shutil
import socket
import ssl
import stat
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from vta.errors import RemoteError, ToolError

__all__ = ["Credentials", "Token", "default_folder", "open_credentials", "read_token"]

_TOKEN = re.compile(r"([0-9a-f]{64})\.([A-Za-z0-9_-]{43})")
_VALID_DAYS = 3650


@dataclass(frozen=True)
class Token:
    """What a client needs to be let in.

    Attributes
    ----------
    fingerprint : str
        SHA-256 of the server's certificate (DER), hexadecimal.
    secret : str
        What the server asks for.
    """

    fingerprint: str
    secret: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Token:
        """The token in a text.

        Raises
        ------
        RemoteError
            If it is none. The message does not repeat the text.
        """
        match = _TOKEN.fullmatch(text.strip())
        if match is None:
            raise RemoteError(
                f"a text of {len(text)} characters is no token; `vta serve` printed one when it "
                f"first started: 64 hexadecimal digits, a dot, 43 letters and digits"
            )
        return cls(match[1], match[2])

    @property
    def text(self) -> str:
        """The token as people pass it on."""
        return f"{self.fingerprint}.{self.secret}"

    def admits(self, secret: str) -> bool:
        """Whether it is the right secret; takes the same time whatever it is."""
        return hmac.compare_digest(secret.encode(), self.secret.encode())


@dataclass(frozen=True)
class Credentials:
    """A server's certificate and key (PEM files), its token, and whether that was made just now."""

    certificate: Path
    key: Path
    token: Token
    new: bool


def default_folder() -> Path:
    """Where a server keeps certificate, key and token unless told otherwise."""
    return platformdirs.user_state_path("vta") / "serve"


def read_token(folder: Path) -> Token | None:
    """The token of a server on this machine; None if there is none.

    Raises
    ------
    RemoteError
        If the file cannot be read, or it or the folder belongs to another user or is open to
        others.
    """
    path = folder / "token"
    cure = "Delete it and start the server again for a new token"
    try:
        _require_private_folder(folder)
        with path.open(encoding="ascii") as file:
            _require_private(path, os.fstat(file.fileno()), cure)
            return Token.parse(file.read(1000))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise RemoteError(f"cannot read the token {path}: {error}") from None


def open_credentials(
    folder: Path, *, certificate: Path | None = None, key: Path | None = None
) -> Credentials:
    """The credentials in a folder; what is missing is made.

    Parameters
    ----------
    folder : Path
        Made, for its owner only, if it is not there.
    certificate, key : Path or None
        PEM files to use instead of the folder's own.

    Raises
    ------
    RemoteError
        If the files cannot be read or written, or do not belong together; if the folder, the key
        or the token belongs to another user or is open to others.
    ToolError
        If a certificate has to be made and there is no ``openssl``.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_private_folder(folder)
        if certificate is None or key is None:
            certificate, key = folder / "server.crt", folder / "server.key"
            if not (certificate.exists() and key.exists()):
                _make_certificate(certificate, key)
            cure = f"Delete {certificate}, {key} and the token for new ones"
        else:
            cure = "Copy it to a file of mode 0600"
        _require_private(key, key.stat(), cure, system_key=True)
        fingerprint = _fingerprint(certificate)
        token = read_token(folder)
        new = token is None
        if token is None:
            token = Token(fingerprint, secrets.token_urlsafe(32))
            _write_private(folder / "token", token.text + "\n")
    except OSError as error:
        raise RemoteError(f"cannot keep the server's credentials in {folder}: {error}") from None
    if token.fingerprint != fingerprint:
        raise RemoteError(
            f"the token in {folder} is for another certificate than {certificate}; delete "
            f"{folder / 'token'} to have a new one made"
        )
    return Credentials(certificate, key, token, new)


def _require_private_folder(folder: Path) -> None:
    cure = (
        "Name another folder with --state, or take it back: chown, chmod 0700, and delete the token"
    )
    _require_private(folder, folder.stat(), cure)


def _require_private(
    path: Path, found: os.stat_result, cure: str, *, system_key: bool = False
) -> None:
    """A file or folder must be of the user that runs this, and closed to everybody else.

    Parameters
    ----------
    cure : str
        What to do if it is not, for the message.
    system_key : bool
        Take a file of root that a group may read, too: how systems keep the keys of services.
    """
    if os.name != "posix":  # elsewhere neither modes nor owners say who may read
        return
    mode, me = stat.S_IMODE(found.st_mode), os.geteuid()
    of_root = system_key and found.st_uid == 0
    if found.st_uid != me and not of_root:
        raise RemoteError(
            f"{path} belongs to the user {found.st_uid}; must belong to {me}, who runs this. {cure}"
        )
    if mode & (0o037 if of_root else 0o077):
        wanted = "0700" if stat.S_ISDIR(found.st_mode) else "0600"
        raise RemoteError(
            f"{path} has the mode {mode:04o}; must be {wanted}: others could read or replace it. "
            f"{cure}"
        )


def _fingerprint(certificate: Path) -> str:
    try:
        der = ssl.PEM_cert_to_DER_cert(_first_certificate(certificate.read_text(encoding="ascii")))
    except (ValueError, UnicodeDecodeError) as error:
        raise RemoteError(f"{certificate} is no certificate in PEM: {error}") from None
    return hashlib.sha256(der).hexdigest()


def _first_certificate(text: str) -> str:
    """The server's own of a chain: what it shows first."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    if begin not in text or end not in text:
        raise ValueError(f"{begin} is missing")
    return text[text.index(begin) : text.index(end) + len(end)] + "\n"


def _write_private(path: Path, text: str) -> None:
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with open(handle, "w", encoding="ascii") as file:
            file.write(text)
    except OSError:  # a full disk: the next start makes a token, and does not find half of one
        path.unlink()
        raise


def _make_certificate(certificate: Path, key: Path) -> None:
    """A self-signed certificate of this machine, with a new P-256 key."""
    host = socket.gethostname()
    names = ["DNS:localhost", "IP:127.0.0.1", "IP:::1"]
    if re.fullmatch(r"[A-Za-z0-9.-]{1,63}", host) and host != "localhost":
        names.append(f"DNS:{host}")
    options = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -sha256 "
        f"-days {_VALID_DAYS} -subj /CN=vta -addext basicConstraints=critical,CA:FALSE "
        f"-addext subjectAltName={','.join(names)}"
    )
    command = f"openssl {options} -keyout {key} -out {certificate}"
    tool = shutil.which("openssl")
    if tool is None:
        raise ToolError(
            f"the server needs a certificate, and there is no openssl on PATH to make it. Install "
            f"openssl; or make it elsewhere, copy both files here and name them with --certificate "
            f"and --key:\n  {command}"
        )
    # In a folder that only its owner can enter: no other user sees the key before its mode is set.
    with tempfile.TemporaryDirectory(dir=certificate.parent) as name:
        made = [Path(name) / "key", Path(name) / "crt"]
        run = subprocess.run(
            [tool, *options.split(), "-keyout", made[0], "-out", made[1]],
            capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
        if run.returncode:
            raise ToolError(f"openssl could not make a certificate ({command}):\n{run.stderr}")
        for file, end in zip(made, ("PRIVATE KEY", "CERTIFICATE")):
            # On a full disk some versions write nothing and report nothing.
            if not file.read_text(encoding="ascii").endswith(f"-----END {end}-----\n"):
                raise RemoteError(
                    f"cannot keep the server's credentials in {certificate.parent}: openssl wrote "
                    f"no whole {end.lower()}; is the disk full?"
                )
        made[0].chmod(0o600)
        os.replace(made[0], key)
        os.replace(made[1], certificate)
