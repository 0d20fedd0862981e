"""What a built package ships, as a CycloneDX bill of materials: from the metadata of the wheels that are in it.

The build writes it beside the package, not into it, and two builds write the same bytes.
"""

import hashlib
import json
import re
import uuid
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

SPEC_VERSION = "1.6"
# What a lock names and no package ships: in Lambda's Python runtime already, or imported by no path of ours.
RUNTIME_PROVIDES = ("boto3", "botocore", "jmespath", "s3transfer")
# google-auth wants cryptography for Google's cloud; 15 MiB.
UNUSED = ("cryptography", "cffi", "_cffi_backend", "pycparser")
LEFT_OUT = (*RUNTIME_PROVIDES, *UNUSED)
# What wheels say without a License-Expression, by the classifiers and the free text that they have instead.
SPDX = {
    "apache software license": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "bsd license": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd": "BSD-3-Clause",
    "mit license": "MIT",
    "mit": "MIT",
    "isc license (iscl)": "ISC",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "psf-2.0": "PSF-2.0",
}


def licence(distribution: Distribution) -> str:
    """The licence as an SPDX expression, as far as the wheel's metadata says it; "unknown" where it does not."""
    metadata = distribution.metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    classifiers = [text.rpartition(" :: ")[2] for text in metadata.get_all("Classifier") or () if "License ::" in text]
    for text in (*classifiers, str(metadata.get("License") or "").partition("\n")[0]):
        if (known := SPDX.get(text.strip().lower())) is not None:
            return known
    return "unknown"


def normalised(name: str) -> str:
    """A distribution's name as package indexes spell it.

    >>> normalised("Typing_Extensions")
    'typing-extensions'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def bill_of_materials(name: str, target: Path) -> dict[str, Any]:
    """The CycloneDX document of the package ``name`` that was built in ``target``."""
    found = sorted(distributions(path=[str(target)]), key=lambda shipped: normalised(shipped.metadata["Name"]))
    components = [_component(shipped) for shipped in found]
    identity = hashlib.sha256(json.dumps(components, sort_keys=True).encode()).hexdigest()
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "serialNumber": f"urn:uuid:{uuid.UUID(identity[:32], version=4)}",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": name, "name": f"stillgood-{name}"}},
        "components": components,
        "dependencies": [{"ref": name, "dependsOn": [component["bom-ref"] for component in components]}],
    }


def _component(shipped: Distribution) -> dict[str, Any]:
    name, expression = normalised(shipped.metadata["Name"]), licence(shipped)
    url = f"pkg:pypi/{name}@{shipped.version}"
    component: dict[str, Any] = {
        "type": "library", "bom-ref": url, "name": name, "version": shipped.version, "purl": url,
    }  # fmt: skip
    if expression != "unknown":
        component["licenses"] = [{"expression": expression}]
    return component


def write(name: str, target: Path) -> Path:
    """Write the bill of ``target`` beside it, as <target>.cdx.json; returns where."""
    path = target.with_name(f"{target.name}.cdx.json")
    path.write_text(json.dumps(bill_of_materials(name, target), indent=1) + "\n", encoding="utf-8")
    return path
