"""A disk that is full: one line that names the folder, and nothing that stands in the way later.

The limit of the size of a file stands for it: a write then fails, as on a full disk, for any user.
"""

import errno
import os
import subprocess
import sys

import pytest

from vta.errors import RemoteError, ToolError
from vta.runtime.remote.credentials import open_credentials
from vta.sim.rtl.build import Build

resource = pytest.importorskip("resource", reason="no limits of a process on this system")


def limited(size, *command, **more):
    """Run a command that can write files of ``size`` bytes."""
    limit = f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))"
    run = f"{limit}; os.execv(sys.argv[1], sys.argv[1:])"
    return subprocess.run(
        [sys.executable, "-c", run, *map(str, command)], text=True, capture_output=True, **more
    )


def test_tutorials(tmp_path):
    folder = tmp_path / "lessons"
    ran = limited(1000, sys.executable, "-m", "vta", "tutorials", folder)
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"Error: cannot write {folder}/")
    assert not list(folder.iterdir())


def test_a_token(tmp_path):
    first = open_credentials(tmp_path / "a")
    (tmp_path / "a" / "token").unlink()
    code = (
        "import sys, vta.runtime.remote.credentials as c; c.open_credentials(c.Path(sys.argv[1]))"
    )
    ran = limited(10, sys.executable, "-c", code, tmp_path / "a")
    assert f"RemoteError: cannot keep the server's credentials in {tmp_path / 'a'}" in ran.stderr
    second = open_credentials(tmp_path / "a")
    assert second.new and second.token.fingerprint == first.token.fingerprint


def test_a_certificate(tmp_path, monkeypatch):
    """OpenSSL that writes nothing and says that all is well, as OpenSSL 3.0 does."""
    tool = tmp_path / "bin" / "openssl"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\nwhile [ $# -gt 1 ]; do case "$1" in -keyout|-out) : > "$2";; esac; '
                    "shift; done\n")  # fmt: skip
    tool.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
        with pytest.raises(RemoteError, match="wrote no whole private key; is the disk full"):
            open_credentials(tmp_path / "state")
    assert open_credentials(tmp_path / "state").new


def test_a_simulator(tmp_path, monkeypatch):
    def make(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Build, "_make", make)
    build = Build("module Top; endmodule", bus_bytes=8)
    with pytest.raises(ToolError, match=r"No space left on device; .* TMPDIR and XDG_CACHE_HOME"):
        build.library(cache=tmp_path)
