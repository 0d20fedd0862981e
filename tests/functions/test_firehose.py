"""The one call to Firehose, against moto's."""

import boto3
import pytest
from stillgood.aws.firehose import Firehose
from stillgood.domain.errors import StoreUnavailable


def test_moto_takes_the_call_and_writes_the_object(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {
        "endpoint_url": s3_url,
        "region_name": "eu-west-1",
        "aws_access_key_id": "t",
        "aws_secret_access_key": "t",
    }
    s3, firehose = boto3.client("s3", **settings), boto3.client("firehose", **settings)  # type: ignore[call-overload]
    s3.create_bucket(Bucket="delivered", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    destination = {"RoleARN": "arn:aws:iam::123456789012:role/r", "BucketARN": "arn:aws:s3:::delivered", "Prefix": "p/"}
    firehose.create_delivery_stream(DeliveryStreamName="captures", ExtendedS3DestinationConfiguration=destination)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    stream = Firehose("captures", endpoint_url=s3_url)
    stream.put(b'{"n":1}\n')
    stream.close()
    (written,) = s3.list_objects_v2(Bucket="delivered")["Contents"]
    assert s3.get_object(Bucket="delivered", Key=written["Key"])["Body"].read() == b'{"n":1}\n'
    nobody = Firehose("nobody", endpoint_url=s3_url)
    with pytest.raises(StoreUnavailable, match="ResourceNotFound"):
        nobody.put(b"x")
    nobody.close()
