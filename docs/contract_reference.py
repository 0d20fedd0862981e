"""``make docs``: writes docs/contract.md and contracts/contract.schema.json from ``domain/contract/fields.py``; a test
holds them to it.
"""

import json
from pathlib import Path

from stillgood.domain.contract.fields import json_schema, markdown

ROOT = Path(__file__).parent.parent


def generated() -> dict[Path, str]:
    """The text of each generated file."""
    schema = json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
    return {ROOT / "docs/contract.md": markdown(), ROOT / "contracts/contract.schema.json": schema}


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")
