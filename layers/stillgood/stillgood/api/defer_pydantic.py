"""Imported before FastAPI, makes a cold start a quarter shorter: Pydantic then builds a model's validator when it is first used.

FastAPI defines some sixty models of OpenAPI as it is imported, of which predict uses none (docs/decisions/0014).
"""

from contextlib import suppress

with suppress(ImportError):  # of a Pydantic that keeps its defaults elsewhere, a start is only slower
    from pydantic._internal._config import config_defaults

    config_defaults["defer_build"] = True
