"""An apt repository that looks like Docker's official one, signed and with packages that work.

The packages are the distribution's own Docker binaries under the names, and with the conflicts, of the official ones.
"""

import gzip
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.scripts.apt_index import packages_index

VERSION = "5:99.0.0-1~test"

DESCRIPTION = """Maintainer: ClawDeploy tests <tests@example.org>
Section: admin
Priority: optional
Description: a stand-in for a package of Docker's repository
"""


def build_packages(archives: Path, folder: Path) -> None:
    """Make the five official packages in ``folder`` from docker.io, containerd and runc in ``archives``."""
    folder.mkdir()
    engine = _unpack(archives, "docker.io", folder / "docker-ce")
    needs = [need for need in _needs(engine) if need.split()[0] not in ("containerd", "runc", "docker-cli")]
    client = folder / "docker-ce-cli"
    (client / "usr/bin").mkdir(parents=True)
    (engine / "usr/bin/docker").rename(client / "usr/bin/docker")
    shutil.rmtree(engine / "usr/share/doc")
    containerd = _unpack(archives, "containerd", folder / "containerd.io")
    runc = _unpack(archives, "runc", folder / "runc")
    (runc / "usr/sbin/runc").rename(containerd / "usr/bin/runc")
    shutil.rmtree(runc)
    _pack(engine, f"Depends: {', '.join(['docker-ce-cli', 'containerd.io', *needs])}\nConflicts: docker.io\n")
    _pack(client, "Depends: libc6\nConflicts: docker.io\n")
    _pack(containerd, "Depends: libc6, libseccomp2\nConflicts: containerd, runc\nReplaces: containerd, runc\n")
    for plugin in ("docker-buildx-plugin", "docker-compose-plugin"):
        (folder / plugin).mkdir()
        _pack(folder / plugin, "Depends: docker-ce-cli\n")


def publish(packages: Path, site: Path, distribution: str, codename: str, key_home: Path) -> None:
    """Lay the packages out below ``site`` as one distribution's repository, signed with the key in ``key_home``."""
    base = site / distribution
    pool = base / "dists" / codename / "pool"
    pool.mkdir(parents=True)
    for package in packages.glob("*.deb"):
        (pool / package.name).hardlink_to(package)
    architecture = _said("dpkg", "--print-architecture")
    index = base / "dists" / codename / "stable" / f"binary-{architecture}"
    index.mkdir(parents=True)
    listing = packages_index(pool.glob("*.deb"), base).encode()
    (index / "Packages").write_bytes(listing)
    (index / "Packages.gz").write_bytes(gzip.compress(listing))
    release = base / "dists" / codename / "Release"
    release.write_text(_release(release.parent, codename, architecture))
    _gpg(key_home, "--clearsign", "-o", str(release.with_name("InRelease")), str(release))
    export_key(key_home, base / "gpg")


@contextmanager
def signing_key(home: Path) -> Iterator[Path]:
    """Make a signing key in a GnuPG home of its own, whose agent ends with the block."""
    home.mkdir(mode=0o700)
    try:
        _gpg(home, "--passphrase", "", "--quick-generate-key", "tests@example.org", "ed25519", "sign", "never")
        yield home
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)


def export_key(home: Path, file: Path) -> None:
    """Write the public part of the key in ``home`` to a file, as text."""
    _gpg(home, "--armor", "--export", "-o", str(file))


def _unpack(archives: Path, package: str, folder: Path) -> Path:
    (archive,) = archives.glob(f"{package}_*.deb")
    subprocess.run(["dpkg-deb", "-R", archive, folder], check=True)
    return folder


def _needs(folder: Path) -> list[str]:
    """Return what an unpacked package depends on."""
    for line in (folder / "DEBIAN/control").read_text().splitlines():
        if line.startswith("Depends: "):
            return line.removeprefix("Depends: ").split(", ")
    return []


def _pack(folder: Path, relations: str) -> None:
    control = folder / "DEBIAN" / "control"
    control.parent.mkdir(exist_ok=True)
    (control.parent / "md5sums").unlink(missing_ok=True)
    architecture = _said("dpkg", "--print-architecture")
    control.write_text(
        f"Package: {folder.name}\nVersion: {VERSION}\nArchitecture: {architecture}\n{relations}{DESCRIPTION}"
    )
    subprocess.run(
        ["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "-b", folder, folder.with_name(f"{folder.name}.deb")],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    shutil.rmtree(folder)


def _release(folder: Path, codename: str, architecture: str) -> str:
    sums = [
        f" {hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_size} {path.relative_to(folder)}\n"
        for path in sorted((folder / "stable").rglob("Packages*"))
    ]
    return (
        f"Origin: Docker\nLabel: Docker CE\nSuite: {codename}\nCodename: {codename}\n"
        f"Date: {_said('date', '-u', '-R')}\nArchitectures: {architecture}\n"
        f"Components: stable\nSHA256:\n{''.join(sums)}"
    )


def _gpg(home: Path, *arguments: str) -> None:
    subprocess.run(["gpg", "--homedir", home, "--batch", "--quiet", "--yes", *arguments], check=True)


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
