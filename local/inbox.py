"""What a person is sent: a queue that subscribes to the stack's topic in place of somebody's mailbox."""

from dataclasses import dataclass
from typing import Any

from local.cloud import CloudError
from local.deploy import STACK, Stack

QUEUE = "inbox"


@dataclass(frozen=True, slots=True)
class Inbox:
    """A queue of the embedded cloud at ``url``."""

    sqs: Any
    url: str

    @classmethod
    def of(cls, stack: Stack) -> "Inbox":
        """Subscribe a new queue to the stack's topic. Raises CloudError where the stack has none (NotifyEmail is
        empty).
        """
        resources = stack.cloud.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
        topics = [
            resource["PhysicalResourceId"] for resource in resources if resource["LogicalResourceId"] == "Notifications"
        ]
        if not topics:
            raise CloudError("the stack has no topic; deploy it with NotifyEmail")
        sqs = stack.cloud.client("sqs")
        url = sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        stack.cloud.client("sns").subscribe(
            TopicArn=topics[0], Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
        )
        return cls(sqs, url)

    def messages(self) -> list[str]:
        """What has arrived since the last call, in order."""
        texts: list[str] = []
        while some := self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", []):
            for message in some:
                texts.append(str(message["Body"]).strip('"'))
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return texts
