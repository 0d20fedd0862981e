"""What holds for every test: nothing of the shell it is started from can reach it."""

import os
from collections.abc import Iterator

import pytest

OF_THE_SHELL = ("AWS_", "LIFECYCLE_", "MLFLOW_")


@pytest.fixture(scope="session", autouse=True)
def no_cloud_of_the_shell() -> Iterator[None]:
    """No profile, credentials, endpoint or tracking server of the developer: a forgotten fake must fail, not reach AWS."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(OF_THE_SHELL)]:
            patch.delenv(name)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield
