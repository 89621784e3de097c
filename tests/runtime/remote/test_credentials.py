"""Certificate and token: made once, for their owner only, and never guessed around."""

import hashlib
import os
import ssl
import stat

import pytest

from vta.errors import RemoteError, ToolError
from vta.runtime.remote import credentials
from vta.runtime.remote.credentials import Token, open_credentials, read_token


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_made_at_first_and_kept(tmp_path):
    folder = tmp_path / "a" / "b"
    first = open_credentials(folder)
    assert first.new and mode(folder) == 0o700
    assert (mode(folder / "token"), mode(first.key)) == (0o600, 0o600)
    second = open_credentials(folder)
    assert not second.new and second.token == first.token == read_token(folder)
    der = ssl.PEM_cert_to_DER_cert(first.certificate.read_text())
    assert first.token.fingerprint == hashlib.sha256(der).hexdigest()
    assert {path.name for path in folder.iterdir()} == {"server.crt", "server.key", "token"}


def test_every_token_is_another(tmp_path):
    tokens = [open_credentials(tmp_path / str(n)).token for n in range(3)]
    assert len({token.secret for token in tokens}) == len({t.fingerprint for t in tokens}) == 3


def test_a_token_reads_as_it_is_printed():
    token = Token("0123456789abcdef" * 4, "x-_" + "A" * 40)
    assert Token.parse(f" {token.text}\n") == token
    assert token.admits(token.secret)
    assert not token.admits("") and not token.admits(token.secret + "x")
    assert not token.admits("é" * 43)
    assert token.secret not in f"{token} {token!r}"


@pytest.mark.parametrize("text", ["", "x", "0" * 64, "0" * 64 + "." + "A" * 42, "g" * 64 + ".x"])
def test_what_is_no_token(text):
    with pytest.raises(RemoteError, match="is no token") as error:
        Token.parse(text)
    assert not text or len(text) < 3 or text not in str(error.value)


def test_a_token_that_others_can_read_is_refused(tmp_path):
    open_credentials(tmp_path)
    (tmp_path / "token").chmod(0o644)
    for use in (open_credentials, read_token):
        with pytest.raises(RemoteError, match="has the mode 0644; must be 0600"):
            use(tmp_path)


@pytest.mark.parametrize("wrong", [0o777, 0o750, 0o701])
def test_a_folder_that_others_can_enter_is_refused(tmp_path, wrong):
    open_credentials(tmp_path)
    tmp_path.chmod(wrong)
    for use in (open_credentials, read_token):
        with pytest.raises(RemoteError, match=f"has the mode {wrong:04o}; must be 0700"):
            use(tmp_path)


def test_a_folder_that_is_made_under_any_umask_is_private(tmp_path):
    before = os.umask(0)
    try:
        made = open_credentials(tmp_path / "serve")
    finally:
        os.umask(before)
    assert (mode(tmp_path / "serve"), mode(made.key)) == (0o700, 0o600)


@pytest.mark.parametrize("wrong", [0o644, 0o604, 0o666])
def test_a_key_that_others_can_read_is_refused(tmp_path, wrong):
    made = open_credentials(tmp_path / "serve")
    made.key.chmod(wrong)
    with pytest.raises(RemoteError, match=rf"server\.key has the mode {wrong:04o}; must be 0600"):
        open_credentials(tmp_path / "serve")
    with pytest.raises(RemoteError, match=f"has the mode {wrong:04o}.* Copy it to a file of mode"):
        open_credentials(tmp_path / "x", certificate=made.certificate, key=made.key)


def owned(monkeypatch, user, name):
    """Make ``name`` look as if it belonged to another user."""

    def told(real):
        def stat(what, *args, **options):
            found = real(what, *args, **options)
            path = os.readlink(f"/proc/self/fd/{what}") if isinstance(what, int) else str(what)
            if not path.endswith(name):
                return found
            return os.stat_result((*found[:4], user, *found[5:]))

        return stat

    monkeypatch.setattr(os, "stat", told(os.stat))
    monkeypatch.setattr(os, "fstat", told(os.fstat))


@pytest.mark.parametrize("name", ["serve", "token", "server.key"])
def test_what_belongs_to_another_user_is_refused(tmp_path, monkeypatch, name):
    open_credentials(tmp_path / "serve")
    owned(monkeypatch, 12345, name)
    message = rf"{name} belongs to the user 12345; must belong to {os.geteuid()}"
    with pytest.raises(RemoteError, match=message):
        open_credentials(tmp_path / "serve")
    if name != "server.key":
        with pytest.raises(RemoteError, match=message):
            read_token(tmp_path / "serve")


def test_a_key_of_root_that_a_group_may_read(tmp_path, monkeypatch):
    """As Debian keeps the keys of services; token and folder have no such exception."""
    made = open_credentials(tmp_path / "serve")
    monkeypatch.setattr(os, "geteuid", lambda: made.key.stat().st_uid + 1)
    monkeypatch.setattr(credentials, "_require_private_folder", lambda folder: None)
    owned(monkeypatch, 0, "server.key")
    owned(monkeypatch, made.key.stat().st_uid + 1, "token")
    made.key.chmod(0o640)
    open_credentials(tmp_path / "serve")
    made.key.chmod(0o644)
    with pytest.raises(RemoteError, match=r"server\.key has the mode 0644"):
        open_credentials(tmp_path / "serve")


def test_a_token_of_another_certificate_is_refused(tmp_path):
    open_credentials(tmp_path)
    (tmp_path / "server.crt").unlink()
    with pytest.raises(RemoteError, match="is for another certificate"):
        open_credentials(tmp_path)


def test_given_certificates(tmp_path):
    given = open_credentials(tmp_path / "given")
    used = open_credentials(tmp_path / "x", certificate=given.certificate, key=given.key)
    assert used.token.fingerprint == given.token.fingerprint
    assert used.token.secret != given.token.secret
    rubbish = tmp_path / "rubbish"
    rubbish.write_text("rubbish")
    with pytest.raises(RemoteError, match="is no certificate in PEM"):
        open_credentials(tmp_path / "y", certificate=rubbish, key=given.key)
    with pytest.raises(RemoteError, match="cannot keep the server's credentials"):
        open_credentials(rubbish / "folder")


def test_without_openssl_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"(?s)no openssl on PATH.*--certificate.*req -x509"):
        open_credentials(tmp_path / "serve")


def test_when_openssl_fails_its_words_are_told(tmp_path, monkeypatch):
    tool = tmp_path / "openssl"
    tool.write_text("#!/bin/sh\necho no entropy >&2\nexit 3\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ToolError, match=r"(?s)openssl could not make .*no entropy"):
        open_credentials(tmp_path / "serve")
    assert not list((tmp_path / "serve").iterdir())
