"""train's dependencies: boto3, which the Lambda runtime brings, the hand-over to promote, and where runs are
tracked.
"""

from datetime import UTC, datetime
from functools import cache

from stillgood.aws.invoke import LambdaInvoker
from stillgood.aws.logs import configure
from stillgood.aws.s3_boto3 import Boto3ObjectStore
from stillgood.aws.settings import Settings
from stillgood.steps.train.train import TrainDeps
from stillgood.training.tracking import Tracking


@cache
def training() -> TrainDeps:
    """What train works with, from the environment. Raises SettingsInvalid."""
    settings = Settings.from_env()
    configure("train", level=settings.log_level)
    return TrainDeps(
        store=Boto3ObjectStore(settings.bucket),
        invoker=LambdaInvoker({"promote": settings.promote_function}),
        clock=lambda: datetime.now(UTC),
        tracking=Tracking(settings.mlflow_tracking_uri, settings.mlflow_experiment_name),
    )
