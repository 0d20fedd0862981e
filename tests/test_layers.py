"""The layers and the absence of import circles are kept by tests, not by lint alone."""

from graphlib import CycleError, TopologicalSorter

import grimp
import pytest

# From the top down; a module may import its own layer and those below it.
LAYERS = ("cli", "simulation", "wiring", "api", "aws", "pages", "steps", "training", "storage", "domain")
DOMAIN = (
    "policy",
    "promotion operating_point",
    "outcomes drift",
    "model actions",
    "contract statistics",
    "errors formats",
)


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Every module of the library, and the modules of the library that it imports, for types too."""
    graph = grimp.build_graph("stillgood", exclude_type_checking_imports=False)
    return {name: set(graph.find_modules_directly_imported_by(name)) for name in graph.modules}


def upward(imports: dict[str, set[str]], package: str, order: tuple[str, ...]) -> list[str]:
    """Imports within ``package`` that lead from a lower layer to a higher one."""
    level = {name: index for index, names in enumerate(order) for name in names.split()}

    def of(module: str) -> int | None:
        parts = module.removeprefix(f"{package}.").split(".") if module.startswith(f"{package}.") else []
        return level.get(parts[0]) if parts else None

    return [
        f"{importer} -> {imported}"
        for importer, those in imports.items()
        for imported in those
        if (low := of(importer)) is not None and (high := of(imported)) is not None and high < low
    ]


def test_no_layer_imports_a_higher_one(imports: dict[str, set[str]]) -> None:
    assert upward(imports, "stillgood", LAYERS) == []


def test_no_part_of_the_domain_imports_a_higher_one(imports: dict[str, set[str]]) -> None:
    assert upward(imports, "stillgood.domain", DOMAIN) == []


def test_every_part_of_the_domain_has_its_layer(imports: dict[str, set[str]]) -> None:
    parts = {name.split(".")[2] for name in imports if name.startswith("stillgood.domain.")}
    assert parts <= {name for names in DOMAIN for name in names.split()}


def test_nothing_imports_in_a_circle(imports: dict[str, set[str]]) -> None:
    modules = {name: those for name, those in imports.items() if name.count(".") > 1}
    try:
        TopologicalSorter(modules).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


def test_an_upward_import_would_be_seen() -> None:
    wrong = {"stillgood.storage.keys": {"stillgood.steps.predict"}, "stillgood.steps.predict": set[str]()}
    assert upward(wrong, "stillgood", LAYERS) == ["stillgood.storage.keys -> stillgood.steps.predict"]
