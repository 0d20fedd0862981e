"""``python -m stillgood``: the command ``stillgood``."""

import sys


def wrong_python(version, path):  # type: ignore[no-untyped-def]  # an older Python has to read this file
    """What is wrong with the Python that runs this, "" if nothing is."""
    if tuple(version[:2]) == (3, 13):
        return ""
    running = ".".join(str(part) for part in version[:3])
    return (
        f"stillgood needs Python 3.13, and {path} is {running}. Run .venv/bin/stillgood after `make setup`, or install"
        " it into a Python 3.13."
    )


if __name__ == "__main__":
    problem = wrong_python(sys.version_info, sys.executable)  # type: ignore[no-untyped-call]
    if problem:
        sys.stderr.write(problem + "\n")
        sys.exit(2)
    from stillgood.cli.main import main

    sys.exit(main())
