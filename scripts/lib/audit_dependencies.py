"""Known vulnerabilities of what ClawDeploy is installed with; see ``scripts/audit-dependencies``."""

import argparse
import json
import re
import sys
import urllib.request
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import click
from packaging.requirements import Requirement

SOURCE = "https://api.osv.dev/v1/querybatch"
PATIENCE_SECONDS = 20
FOUND, UNKNOWN = 1, 3


def installed(name: str = "clawdeploy") -> dict[str, str]:
    """Return what a package needs to run, directly or not, and it itself: versions by name."""
    found: dict[str, str] = {}
    wanted = [name]
    while wanted:
        each = wanted.pop()
        known = re.sub(r"[-_.]+", "-", each).lower()
        if known in found:
            continue
        try:
            there = distribution(each)
        except PackageNotFoundError:
            # For another system or version of Python.
            continue
        found[known] = there.version
        needs = (Requirement(line) for line in there.requires or ())
        wanted += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return found


def advisories(packages: Mapping[str, str], source: str) -> dict[str, list[str]]:
    """Return the ids of advisories by name; raises ``OSError`` or ``ValueError`` when the source does not say."""
    asked = [{"package": {"name": name, "ecosystem": "PyPI"}, "version": version} for name, version in packages.items()]
    request = urllib.request.Request(source, json.dumps({"queries": asked}).encode())  # noqa: S310 -- the operator's
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310 -- the operator's
        said: Any = json.load(answer)
    try:
        results = said["results"]
        if len(results) != len(packages):
            raise ValueError("it did not answer for each library")
        ids = [[str(one["id"]) for one in each.get("vulns", ())] for each in results]
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("its answer is not one of OSV's") from error
    return {name: known for name, known in zip(packages, ids, strict=True) if known}


def bill_of_materials(packages: Mapping[str, str]) -> dict[str, Any]:
    """Return the libraries as CycloneDX writes them."""
    own, *libraries = [
        {"type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{name}@{version}"}
        for name, version in packages.items()
    ]
    component = {**own, "type": "application"}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component},
        "components": sorted(libraries, key=lambda one: one["name"]),
    }


def main() -> int:
    """Ask, print, and return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sbom", type=Path)
    parser.add_argument("--source", default=SOURCE)
    options = parser.parse_args()
    packages = installed()
    if options.sbom:
        options.sbom.write_text(json.dumps(bill_of_materials(packages), indent=1) + "\n")
    libraries = {name: version for name, version in packages.items() if name != "clawdeploy"}
    try:
        known = advisories(libraries, options.source)
    except (OSError, ValueError) as error:
        click.echo(
            f"No source of advisories could be asked ({error}). Whether the {len(libraries)} libraries have known "
            "vulnerabilities is not known.",
            err=True,
        )
        return UNKNOWN
    for name, ids in known.items():
        click.echo(f"{name} {packages[name]}: {', '.join(ids)}")
    click.echo(f"{len(known)} of {len(libraries)} libraries have known vulnerabilities.")
    return FOUND if known else 0


if __name__ == "__main__":
    sys.exit(main())
