"""The list of packages that an apt repository has to have."""

import hashlib
import subprocess
from collections.abc import Iterable
from pathlib import Path


def packages_index(packages: Iterable[Path], base: Path) -> str:
    """Describe package files, which lie below ``base``, as apt expects it in a file ``Packages``."""
    return "\n".join(_entry(package, base) for package in sorted(packages))


def _entry(package: Path, base: Path) -> str:
    control = subprocess.run(["dpkg-deb", "-f", package], check=True, capture_output=True, text=True).stdout.strip()
    content = package.read_bytes()
    return (
        f"{control}\nFilename: ./{package.relative_to(base)}\nSize: {len(content)}\n"
        f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
    )
