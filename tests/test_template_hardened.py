"""What the template promises of security and of being watched, with its conditions resolved for a stage."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from stillgood.aws.metrics import METRICS
from stillgood.domain import errors
from stillgood.domain.policy import announcement
from stillgood.storage.keys import INDEX_PAGE, PLACES

from local.package import packaged

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = ("PredictFunction", "BatchFunction", "MonitorFunction", "TrainFunction", "PromoteFunction")


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return packaged(ROOT, lambda key, body: None)


def resolved(template: dict[str, Any], **values: str) -> dict[str, Any]:
    """The resources that a stack with these parameters has, their ``Fn::If`` decided."""
    parameters = {name: parameter.get("Default", "") for name, parameter in template["Parameters"].items()} | values

    def holds(rule: Any) -> bool:
        match rule:
            case {"Condition": str(name)}:
                return holds(template["Conditions"][name])
            case {"Fn::Equals": [left, right]}:
                return str(value(left)) == str(value(right))  # as CloudFormation compares
            case {"Fn::Not": [condition]}:
                return not holds(condition)
            case {"Fn::And": list(all_of)}:
                return all(holds(condition) for condition in all_of)
            case {"Fn::Or": list(any_of)}:
                return any(holds(condition) for condition in any_of)
        raise AssertionError(f"{rule} is not understood here")

    def value(node: Any) -> Any:
        match node:
            case {"Fn::If": [str(name), yes, no]}:
                return value(yes if holds({"Condition": name}) else no)
            case {"Ref": str(name)} if name in parameters:
                return parameters[name]
            case {"Fn::Split": [separator, text]}:
                return value(text).split(separator)
            case {"Fn::Select": [index, several]}:
                return value(several)[index]
            case dict():
                members = {key: value(inner) for key, inner in node.items()}
                return {key: inner for key, inner in members.items() if inner != {"Ref": "AWS::NoValue"}}
            case list():
                return [value(inner) for inner in node]
        return node

    return {
        name: value(resource)
        for name, resource in template["Resources"].items()
        if "Condition" not in resource or holds({"Condition": resource["Condition"]})
    }


def routes(resources: dict[str, Any]) -> set[str]:
    return {
        resource["Properties"]["AuthorizationType"]
        for resource in resources.values()
        if resource["Type"] == "AWS::ApiGatewayV2::Route"
    }


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, {"AWS_IAM"}),
        ({"Stage": "prod"}, {"AWS_IAM"}),
        ({"ApiAuth": "none"}, {"NONE"}),
        ({"Stage": "prod", "ApiAuth": "jwt", "JwtIssuer": "https://issuer", "JwtAudience": "us"}, {"JWT"}),
    ],
)
def test_every_route_asks_who_calls_as_the_stage_wants(
    template: dict[str, Any], parameters: dict[str, str], expected: set[str]
) -> None:
    resources = resolved(template, **parameters)
    assert routes(resources) == expected
    assert ("JwtAuthorizer" in resources) == (expected == {"JWT"})


def test_a_production_api_cannot_be_left_open(template: dict[str, Any]) -> None:
    rule = template["Rules"]["ProdIsNotOpen"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "Stage"}, "prod"]}
    assert rule["Assertions"][0]["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "ApiAuth"}, "none"]}]}


def test_an_open_api_is_said_by_a_standing_alarm_and_an_output(template: dict[str, Any]) -> None:
    alarm = resolved(template, ApiAuth="none")["ApiIsOpenAlarm"]["Properties"]
    # It is never measured, and what is missing counts as breaching: the alarm stands until the API is closed.
    assert (alarm["TreatMissingData"], alarm["ComparisonOperator"]) == ("breaching", "LessThanThreshold")
    assert "ApiIsOpenAlarm" not in resolved(template)
    assert template["Outputs"]["ApiIsOpen"]["Condition"] == "AuthNone"


def test_each_route_asks_a_token_for_its_own_right(template: dict[str, Any]) -> None:
    parameters = {"ApiAuth": "jwt", "JwtIssuer": "https://issuer", "JwtAudience": "us"}
    wanted = {
        resource["Properties"]["RouteKey"]: resource["Properties"]["AuthorizationScopes"]
        for resource in resolved(template, **parameters).values()
        if resource["Type"] == "AWS::ApiGatewayV2::Route"
    }
    assert wanted["POST /predict"] == ["predict"]
    assert wanted["POST /labels"] == ["labels:write"]
    assert wanted["GET /status"] == ["operate"]
    assert all(wanted.values())


def test_production_cannot_be_deployed_without_somebody_to_tell(template: dict[str, Any]) -> None:
    rule = template["Rules"]["ProdTellsSomebody"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "Stage"}, "prod"]}
    assert rule["Assertions"][0]["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "AlarmTopicArn"}, ""]}]}


def test_browsers_of_other_origins_are_kept_out_unless_named(template: dict[str, Any]) -> None:
    assert "CorsConfiguration" not in resolved(template)["Api"]["Properties"]
    named = resolved(template, CorsOrigins="https://a.example")["Api"]["Properties"]["CorsConfiguration"]
    assert named["AllowOrigins"] == ["https://a.example"]


def test_the_stage_throttles_and_logs(template: dict[str, Any]) -> None:
    stage = resolved(template)["ApiStage"]["Properties"]
    assert stage["DefaultRouteSettings"] == {"ThrottlingBurstLimit": 200, "ThrottlingRateLimit": 100}
    assert stage["AccessLogSettings"]["DestinationArn"] == {"Fn::GetAtt": ["AccessLogs", "Arn"]}


def test_the_bucket_takes_no_plain_http_and_overwrites_nothing_blindly(template: dict[str, Any]) -> None:
    statements = template["Resources"]["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    denied = {statement["Sid"]: statement for statement in statements}
    assert {statement["Effect"] for statement in statements} == {"Deny"}
    assert denied["TlsOnly"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    pointer, created = denied["MovePointerByComparison"], denied["CreateOnly"]
    assert pointer["Condition"]["Null"] == {"s3:if-match": "true", "s3:if-none-match": "true"}
    assert created["Condition"]["Null"] == {"s3:if-none-match": "true"}
    # Without this, parts of a multipart upload would be refused, which carry no precondition.
    assert pointer["Condition"]["Bool"] == created["Condition"]["Bool"] == {"s3:ObjectCreationOperation": "true"}
    prefixes = [resource["Fn::Sub"].removeprefix("${Bucket.Arn}/") for resource in created["Resource"]]
    assert {"models/*", "registry/decisions/*", "operating_points/*", "monitoring/reports/*"} <= set(prefixes)
    kept = denied["KeepDecisionsAndModels"]
    assert kept["Condition"] == {"ArnNotEquals": created["Condition"]["ArnNotEquals"]}
    assert kept["Action"] == ["s3:DeleteObject", "s3:DeleteObjectVersion"]


def test_what_fails_for_good_is_kept(template: dict[str, Any]) -> None:
    resources = resolved(template)
    queue = {"Fn::GetAtt": ["DeadLetters", "Arn"]}
    assert resources["DeadLetters"]["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600
    for name in ("BatchFunction", "MonitorFunction", "TrainFunction", "PromoteFunction"):
        sent = resources[name]["Properties"]["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]
        assert sent == {"Type": "SNS", "Destination": {"Ref": "FailedEvents"}}, name
    kept = resources["KeepFailedEvents"]["Properties"]
    assert (kept["Protocol"], kept["Endpoint"], kept["RawMessageDelivery"]) == ("sqs", queue, True)
    (allowed,) = resources["DeadLettersTakeFailedEvents"]["Properties"]["PolicyDocument"]["Statement"]
    assert allowed["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Ref": "FailedEvents"}}}
    schedules = [
        event["Properties"]
        for resource in resources.values()
        for event in resource.get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "ScheduleV2"
    ]
    assert len(schedules) == 3
    for schedule in schedules:
        assert schedule["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["ScheduleLetters", "Arn"]}}
        assert schedule["RetryPolicy"]["MaximumRetryAttempts"] > 0
    letters = resources["ScheduleLetters"]["Properties"]
    assert letters["RedrivePolicy"]["deadLetterTargetArn"] == queue  # kept even if nobody can be told
    source = resources["TellScheduleLetters"]["Properties"]
    assert source["EventSourceArn"] == {"Fn::GetAtt": ["ScheduleLetters", "Arn"]}
    assert source["FunctionName"] == {"Ref": "TellFunction"}
    assert letters["VisibilityTimeout"] >= 6 * resources["TellFunction"]["Properties"]["Timeout"]


def test_what_fails_for_good_is_told_on_the_bus_in_the_published_shape(
    template: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, Any]] = []
    refused = 0

    class Bus:
        def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, int]:  # noqa: N803 - boto3's name
            sent.extend(Entries)
            return {"FailedEntryCount": refused}

    monkeypatch.setattr("boto3.client", lambda name: Bus())
    code = telling(template)
    letter = {
        "version": "1.0", "timestamp": "2026-11-24T00:05:00.123Z",
        "requestContext": {
            "requestId": "6a2f7a0c-1f7b-4c2e-9f5d-000000000001", "condition": "RetriesExhausted",
            "functionArn": "arn:aws:lambda:eu-west-1:111122223333:function:stillgood-TrainFunction-x:$LATEST",
            "approximateInvokeCount": 3,
        },
        "requestPayload": {"by": "mistake"}, "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "responsePayload": {"errorType": "InvalidEvent", "errorMessage": "The event needs 'request_id'. " * 40},
    }  # fmt: skip
    timed_out = {name: value for name, value in letter.items() if name != "timestamp"} | {"responsePayload": None}
    envelope = {"MessageId": "m-1", "Timestamp": "2026-11-24T00:05:01.000Z"}
    records = [{"Sns": envelope | {"Message": json.dumps(message)}} for message in (letter, timed_out)]
    code["handler"]({"Records": records}, None)

    schema = Draft202012Validator(json.loads((ROOT / "contracts" / "event.schema.json").read_text()))
    assert [entry["DetailType"] for entry in sent] == ["stillgood.dead-letter.kept"] * 2
    assert {json.loads(entry["Detail"])["data"]["page"] for entry in sent} == {INDEX_PAGE}
    for entry in sent:
        schema.validate(json.loads(entry["Detail"]))
    first, second = (json.loads(entry["Detail"])["data"] for entry in sent)
    assert first["function"] == "stillgood-TrainFunction-x"
    assert first["reasons"][0].startswith("InvalidEvent: The event needs 'request_id'.")
    assert second["reasons"] == ["RetriesExhausted: no message"]
    refused = 1
    with pytest.raises(RuntimeError, match="did not take"):  # Lambda tries twice more
        code["handler"]({"Records": records}, None)


def telling(template: dict[str, Any]) -> dict[str, Any]:
    """The names that the code of TellFunction makes."""
    text, code = resolved(template)["TellFunction"]["Properties"]["Code"]["ZipFile"], {}
    assert len(text.encode()) <= 4096  # the most that a template may hold of a function
    exec(text, code)
    return code


@pytest.mark.parametrize(
    "target", ["lambda:eu-west-1:1:function:stillgood-Monitor", "states:eu-west-1:1:stateMachine:nightly"]
)
def test_what_a_schedule_could_not_deliver_is_told_and_kept(
    template: dict[str, Any], monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    sent: list[dict[str, Any]] = []
    kept: list[dict[str, Any]] = []

    class Cloud:
        def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, int]:  # noqa: N803 - boto3's name
            sent.extend(Entries)
            return {"FailedEntryCount": int(len(sent) > 1)}

        def send_message(self, **message: Any) -> None:
            kept.append(message)

    monkeypatch.setattr("boto3.client", lambda name: Cloud())
    monkeypatch.setenv("DEAD_LETTERS", "https://queue")
    handler = telling(template)["handler"]
    said = {
        "ERROR_CODE": "AccessDenied", "ERROR_MESSAGE": "not allowed", "RETRY_ATTEMPTS": "5",
        "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts", "TARGET_ARN": f"arn:aws:{target}",
        "SCHEDULE_ARN": "arn:aws:scheduler:eu-west-1:1:schedule/default/x",
    }  # fmt: skip
    record = {
        "messageId": "6a2f7a0c-1f7b-4c2e-9f5d-000000000001", "body": '{"scheduled_time": "2026-11-24T00:00:00Z"}',
        "attributes": {"SentTimestamp": "1795478400123"}, "eventSource": "aws:sqs",
        "messageAttributes": {name: {"stringValue": value, "dataType": "String"} for name, value in said.items()},
    }  # fmt: skip
    handler({"Records": [record]}, None)
    told = json.loads(sent[0]["Detail"])
    Draft202012Validator(json.loads((ROOT / "contracts" / "event.schema.json").read_text())).validate(told)
    assert (sent[0]["DetailType"], told["time"]) == ("stillgood.dead-letter.kept", "2026-11-24T00:00:00.123000+00:00")
    assert told["data"]["function"] == target.split(":")[-1]
    assert told["data"]["reasons"] == ["AccessDenied: not allowed"]
    assert "never reached" in told["data"]["message"]
    (message,) = kept
    assert (message["QueueUrl"], message["MessageBody"]) == ("https://queue", record["body"])
    assert {name: value["StringValue"] for name, value in message["MessageAttributes"].items()} == said
    with pytest.raises(RuntimeError, match="did not take"):  # it comes again, and the third time it is kept untold
        handler({"Records": [record]}, None)
    assert len(kept) == 1


def test_every_type_of_event_is_told_of(template: dict[str, Any]) -> None:
    """docs/events.md names each type that the code makes, and each that it names is of the published shape."""
    section = (ROOT / "docs" / "events.md").read_text().partition("## What is told")[2]
    named: set[str] = set()
    for line in section.splitlines():
        if line.startswith("| `stillgood."):
            first, *rest = re.findall(r"`([^`]+)`", line.split("|")[1])
            named |= {first, *(first.rpartition(".")[0] + ending for ending in rest)}
    decided = {f"stillgood.decision.{verb}" for verb in announcement._DECIDED.values()}
    acted = {f"stillgood.window.{action.replace('_', '-')}" for action in announcement._ACTED}
    states = {f"stillgood.state.{what}" for what in ("began", "changed", "ended")}
    assert named == decided | acted | states | {"stillgood.dead-letter.kept"}
    pattern = json.loads((ROOT / "contracts" / "event.schema.json").read_text())["properties"]["type"]["pattern"]
    assert [name for name in sorted(named) if not re.search(pattern, name)] == []


def test_a_letter_about_a_letter_cannot_come_to_be(template: dict[str, Any]) -> None:
    """What tells of dead letters has no destination for its own failures, and no rule hands an event to a function."""
    resources = resolved(template, NotifyEmail="somebody@example.com")
    assert not [name for name, resource in resources.items() if resource["Type"] == "AWS::Lambda::EventInvokeConfig"]
    assert "FailedEvents" not in json.dumps([resources["TellFunction"], resources["TellRole"]])
    rules = {name: resource for name, resource in resources.items() if resource["Type"] == "AWS::Events::Rule"}
    assert len(rules) == 3
    for name, rule in rules.items():
        assert [target["Arn"] for target in rule["Properties"]["Targets"]] == [{"Ref": "Notifications"}], name


def test_every_function_logs_json_into_a_group_that_forgets(template: dict[str, Any]) -> None:
    resources = resolved(template, LogRetentionDays="30")
    for name in FUNCTIONS:
        config = resources[name]["Properties"]["LoggingConfig"]
        assert config["LogFormat"] == "JSON"
        assert resources[config["LogGroup"]["Ref"]]["Properties"]["RetentionInDays"] == "30", name


def test_train_and_promote_run_one_at_a_time_unless_the_account_is_too_small(template: dict[str, Any]) -> None:
    for name in ("TrainFunction", "PromoteFunction"):
        assert resolved(template)[name]["Properties"]["ReservedConcurrentExecutions"] == 1
        assert "ReservedConcurrentExecutions" not in resolved(template, ReserveConcurrency="false")[name]["Properties"]


def test_alarms_tell_the_topic_if_there_is_one(template: dict[str, Any]) -> None:
    def alarms(**parameters: str) -> dict[str, Any]:
        resources = resolved(template, **parameters)
        return {
            name: resource["Properties"]
            for name, resource in resources.items()
            if resource["Type"] == "AWS::CloudWatch::Alarm"
        }

    assert all("AlarmActions" not in alarm for alarm in alarms().values())
    assert all(alarm["AlarmActions"] == ["arn:topic"] for alarm in alarms(AlarmTopicArn="arn:topic").values())
    assert {alarm["MetricName"] for alarm in alarms().values() if alarm["Namespace"] != "Stillgood"} == {
        "Errors", "Duration", "Throttles", "ApproximateNumberOfMessagesVisible", "ExecutionsFailed", "4xx", "5xx",
    }  # fmt: skip


# What is counted and is no failure: for the dashboard alone.
GOOD_NEWS = {
    "Predictions", "RejectedRows", "RetrainsStarted", "RollbacksStarted", "ModelsTrained", "Promotions", "Refusals",
    "Rollbacks", "Moves", "Releases", "Asks", "ModesSet", "SettingsChanged",
}  # fmt: skip


def test_every_failure_that_is_counted_has_an_alarm_and_every_alarm_is_counted(template: dict[str, Any]) -> None:
    resources = resolved(template)
    own = [
        resource["Properties"]
        for resource in resources.values()
        if resource["Type"] == "AWS::CloudWatch::Alarm" and resource["Properties"]["Namespace"] == "Stillgood"
    ]
    watched = {(alarm["Dimensions"][0]["Value"], alarm["MetricName"]) for alarm in own}
    counted = {(service, name) for service, names in METRICS.items() for name in names}
    assert watched <= counted
    assert {name for _, name in counted - watched} == GOOD_NEWS
    shown = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    assert [name for _, name in sorted(counted) if f'"{name}"' not in shown] == []


def test_every_metric_that_the_code_counts_is_declared() -> None:
    """A metric that is not would be a KeyError after the decision was made."""
    declared = {name for names in METRICS.values() for name in names}
    files = [*(ROOT / "functions").rglob("*.py"), *(ROOT / "layers/stillgood/stillgood").rglob("*.py")]
    literal = {name for file in files for name in re.findall(r'metrics\.count\("(\w+)"', file.read_text())}
    assert literal <= declared
    for file in (ROOT / "functions").rglob("app.py"):
        for table in re.findall(r"^(?:COUNTS|STARTED) = \{(.*?)\}", file.read_text(), re.DOTALL | re.MULTILINE):
            assert set(re.findall(r': "(\w+)"', table)) <= declared, file


def test_no_batch_job_starves_predict(template: dict[str, Any]) -> None:
    for name, parameter in (("PredictFunction", "PredictConcurrency"), ("BatchFunction", "BatchConcurrency")):
        assert "ReservedConcurrentExecutions" not in resolved(template)[name]["Properties"]
        split = resolved(template, **{parameter: "20"})[name]["Properties"]
        assert split["ReservedConcurrentExecutions"] == "20"


def test_what_the_code_only_creates_is_create_only_in_the_bucket(template: dict[str, Any]) -> None:
    statements = {
        statement["Sid"]: statement
        for statement in template["Resources"]["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    }
    held = {
        resource["Fn::Sub"].removeprefix("${Bucket.Arn}/").rstrip("*")
        for resource in statements["CreateOnly"]["Resource"]
    }
    # What may be written again under its key: a capture that waited in memory, a joining that is repeated, an upload.
    free = {
        "capture/", "contracts/", "data/", "training/", "quarantine/labels/", "quarantine/train/", "forgotten/",
        "batch/output/",
    }  # fmt: skip
    for place in PLACES:
        if place.write == "create-only":
            start = place.key.partition("<")[0]
            assert any(start.startswith(prefix) for prefix in held | free), place.key
    assert statements["KeepDecisionsAndModels"]["Effect"] == "Deny"


def test_a_monitor_that_does_not_run_is_told_unless_nobody_scheduled_it(template: dict[str, Any]) -> None:
    alarm = resolved(template)["MonitorNotRunAlarm"]["Properties"]
    assert (alarm["TreatMissingData"], alarm["EvaluationPeriods"]) == ("breaching", 2)
    assert "MonitorNotRunAlarm" not in resolved(template, MonitorScheduleState="DISABLED")


def test_predict_is_called_by_its_alias_and_starts_from_a_snapshot_only_when_asked(template: dict[str, Any]) -> None:
    predict = resolved(template)["PredictFunction"]["Properties"]
    assert predict["AutoPublishAlias"] == "live"
    assert "SnapStart" not in predict
    snapped = resolved(template, PredictSnapStart="on")["PredictFunction"]["Properties"]
    assert snapped["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert snapped["VersionDeletionPolicy"] == "Delete"  # snapshots of versions that nobody calls bill by the hour


def test_the_batch_job_goes_on_past_a_failed_shard_and_tries_again_what_may_pass(template: dict[str, Any]) -> None:
    states = resolved(template)["BatchJob"]["Properties"]["Definition"]["States"]
    shards = states["Shards"]
    assert shards["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
    assert shards["ToleratedFailurePercentage"] == 100
    score = shards["ItemProcessor"]["States"]["Score"]
    assert [rule["ErrorEquals"] for rule in score["Catch"]] == [["States.ALL"]]
    for task in (states["Plan"], score, states["Report"]):
        never, others = task["Retry"]
        assert never["MaxAttempts"] == 0
        ours = [name for name in never["ErrorEquals"] if "." not in name]
        assert all(issubclass(getattr(errors, name), errors.StillgoodError) for name in ours)
        assert not {"StoreUnavailable", "PreconditionFailed"} & set(ours)  # they pass by themselves
        assert (others["ErrorEquals"], others["JitterStrategy"]) == (["States.ALL"], "FULL")


def test_the_batch_job_may_call_batch_and_itself_and_nothing_else(template: dict[str, Any]) -> None:
    (policy,) = resolved(template)["BatchJob"]["Properties"]["Policies"]
    granted = {}
    for statement in policy["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        granted |= dict.fromkeys(actions, str(statement["Resource"]))
    assert set(granted) == {
        "lambda:InvokeFunction", "states:StartExecution", "states:DescribeExecution", "states:StopExecution",
    }  # fmt: skip
    assert granted["lambda:InvokeFunction"] == str({"Fn::GetAtt": ["BatchFunction", "Arn"]})
    assert all("${AWS::StackName}-batch" in granted[name] for name in granted if name.startswith("states:"))
    # A child's ARN is execution:MACHINE/MAP:ID; AWS's own example of the policy names execution:MACHINE:*.
    assert all(f"-batch{end}" in granted["states:StopExecution"] for end in ("/*", ":*"))


def test_the_dashboard_and_the_access_log_are_json(template: dict[str, Any]) -> None:
    resources = resolved(template)
    body = json.loads(resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
    named = {metric[0] for widget in body["widgets"] for metric in widget["properties"]["metrics"]}
    assert {"AWS/Lambda", "Stillgood", "AWS/SQS"} <= named
    for widget in body["widgets"]:
        rows: list[list[Any]] = []
        for row in widget["properties"]["metrics"]:  # a dot repeats what stands above
            above = rows[-1] if rows else row
            rows.append([above[i] if part == "." else part for i, part in enumerate(row) if not isinstance(part, dict)])
        for _, metric, *dimensions in (row for row in rows if row[0] == "Stillgood"):
            of = dict(zip(dimensions[::2], dimensions[1::2], strict=True))
            assert of["function_name"] == f"${{{of['service'].title()}Function}}"
            assert metric in METRICS[of["service"]]
    log = json.loads(resources["ApiStage"]["Properties"]["AccessLogSettings"]["Format"])
    assert {"time", "request_id", "status", "route", "ms"} <= log.keys()


def test_what_rests_is_encrypted(template: dict[str, Any]) -> None:
    resources = resolved(template)
    (rule,) = resources["Bucket"]["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert resources["DeadLetters"]["Properties"]["SqsManagedSseEnabled"] is True


def test_every_alarm_can_fire_and_says_what_it_is_about(template: dict[str, Any]) -> None:
    for name, resource in resolved(template).items():
        if resource["Type"] != "AWS::CloudWatch::Alarm":
            continue
        alarm = resource["Properties"]
        assert len(alarm["AlarmDescription"]) > 30, name
        assert alarm["Threshold"] > 0, name
        assert alarm["ComparisonOperator"] in (
            "GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold",
        )  # fmt: skip
        assert alarm["Dimensions"], name
        if alarm["Namespace"] == "Stillgood":  # whose metrics all stacks of the account share
            named = {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}
            assert named.keys() == {"service", "function_name"}, name
            assert named["function_name"] == {"Ref": f"{named['service'].title()}Function"}, name
            assert alarm["MetricName"] in METRICS[named["service"]], name


@pytest.mark.parametrize(
    ("uri", "expected"),
    [("", False), ("https://mlflow.example.com", False), ("arn:aws:sagemaker:eu-west-1:1:mlflow-app/a", True)],
)
def test_train_may_log_runs_in_sagemaker_only_where_it_does(template: dict[str, Any], uri: str, expected: bool) -> None:
    resources = resolved(template, MlflowTrackingUri=uri)
    assert ("TrainMayTrack" in resources) == expected
    if expected:
        policy = resources["TrainMayTrack"]["Properties"]
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert statement["Resource"] == uri
        assert all("*" not in action for action in statement["Action"])
        assert policy["Roles"] == [{"Ref": "TrainFunctionRole"}]


SAGEMAKER = "arn:aws:sagemaker:eu-west-1:123456789012"


@pytest.mark.parametrize(
    ("parameter", "fine", "wrong"),
    [
        ("BucketName", ["churn-prod-1"], ["Churn", "a", "under_score", "my.bucket", "x" * 64, "s3://churn"]),
        ("MonitorSchedule", ["rate(1 hour)", "cron(0 0 * * ? *)"], ["", "hourly", "0 0 * * *"]),
        (
            "MlflowTrackingUri",
            [
                "https://u:p@mlflow.example.com",
                f"{SAGEMAKER}:mlflow-tracking-server/a",
                f"{SAGEMAKER}:mlflow-app/app-1",
            ],
            ["http://mlflow.example.com", "mlflow", f"{SAGEMAKER}:endpoint/a", "arn:aws:s3:::bucket"],
        ),
        ("JwtIssuer", ["https://cognito-idp.eu-west-1.amazonaws.com/p"], ["cognito", "http://issuer.example.com"]),
        ("CorsOrigins", ["*", "https://a.example,http://localhost:3000"], ["https://a, https://b", "https://a/", "a"]),
        (
            "AlarmTopicArn",
            ["arn:aws:sns:eu-west-1:123456789012:on-call"],
            ["on-call", "arn:aws:sqs:eu-west-1:123456789012:on-call", "arn:aws:sns:eu-west-1:123456789012:a.fifo"],
        ),
        (
            "BreakGlassRoleArn",
            ["arn:aws:iam::123456789012:role/break-glass"],
            ["break-glass", "arn:aws:iam::123456789012:user/me"],
        ),
        (
            "KmsKeyArn",
            ["arn:aws:kms:eu-west-1:123456789012:key/0a1b-2c"],
            ["alias/mine", "arn:aws:kms:eu-west-1:123456789012:alias/mine"],
        ),
        ("AnchorBucketName", ["anchors-of-all"], ["Anchors", "s3://anchors", "a"]),
        ("EndpointUrl", ["http://host.docker.internal:9000"], ["host:9000"]),
        ("LambdaEndpointUrl", ["http://host.docker.internal:9001"], ["host:9001"]),
    ],
)
def test_a_wrong_parameter_is_refused_before_anything_is_made(
    template: dict[str, Any], parameter: str, fine: list[str], wrong: list[str]
) -> None:
    declared = template["Parameters"][parameter]
    assert declared["ConstraintDescription"]  # what CloudFormation says instead of the pattern
    taken = [text for text in [declared["Default"], *fine, *wrong] if re.fullmatch(declared["AllowedPattern"], text)]
    assert taken == [declared["Default"], *fine]


def test_every_parameter_is_held_to_something_or_free_for_a_reason(template: dict[str, Any]) -> None:
    held = {"AllowedPattern", "AllowedValues", "MinValue"}
    free = {name for name, declared in template["Parameters"].items() if not held & declared.keys()}
    assert free == {"JwtAudience"}  # whatever the issuer calls its clients


def test_a_parameter_that_may_carry_a_password_is_not_shown(template: dict[str, Any]) -> None:
    assert template["Parameters"]["MlflowTrackingUri"]["NoEcho"] is True


def test_captures_are_kept_unless_their_days_are_counted(template: dict[str, Any]) -> None:
    def rules(**parameters: str) -> dict[str, Any]:
        configured = resolved(template, **parameters)["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
        return {rule["Id"]: rule for rule in configured if rule != {"Ref": "AWS::NoValue"}}

    by_default = {name: rule["ExpirationInDays"] for name, rule in rules().items() if "ExpirationInDays" in rule}
    assert by_default == {
        "kept-answers": 2, "old-captures": 400, "old-batches": 400, "old-hours": 400, "old-quarantine": 90,
        "old-batch-input": 365,
    }  # fmt: skip
    never = rules(CaptureRetentionDays="0", QuarantineRetentionDays="0", BatchInputRetentionDays="0")
    assert [name for name, rule in never.items() if "ExpirationInDays" in rule] == ["kept-answers"]
    assert rules()["overwritten-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}
    old = rules(CaptureRetentionDays="400")["old-captures"]
    assert (old["Prefix"], old["ExpirationInDays"]) == ("capture/", "400")
    # The models and decisions beside them are never deleted by time.
    expiring = {rule["Prefix"] for rule in rules(CaptureRetentionDays="400").values() if "ExpirationInDays" in rule}
    # Captures refer to what batch wrote, and hours hold them once more.
    assert expiring == {"capture/", "batch/output/", "monitoring/hours/", "idempotency/", "quarantine/", "batch/input/"}
    days = {"LabelRetentionDays": "700", "DataRetentionDays": "800", "BatchInputRetentionDays": "30"}
    every = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules(**days).values() if "ExpirationInDays" in rule}
    assert every["labels/"] == every["monitoring/outcomes/"] == "700"
    assert (every["data/"], every["batch/input/"]) == ("800", "30")
    assert not [prefix for prefix in every if prefix.startswith(("models", "registry", "operating_points"))]


def test_a_bucket_is_locked_by_parameter_and_only_one_role_may_undo_it(template: dict[str, Any]) -> None:
    bucket = resolved(template)["Bucket"]["Properties"]
    assert not {"ObjectLockEnabled", "ObjectLockConfiguration"} & bucket.keys()
    locked = resolved(template, ObjectLockDays="30", BreakGlassRoleArn="arn:role")
    bucket = locked["Bucket"]["Properties"]
    assert bucket["ObjectLockEnabled"] is True
    assert bucket["ObjectLockConfiguration"]["Rule"] == {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": "30"}}
    statements = locked["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    (kept,) = [statement for statement in statements if statement["Sid"] == "KeepTheLock"]
    assert (kept["Effect"], kept["Action"]) == ("Deny", "s3:BypassGovernanceRetention")
    assert kept["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": "arn:role"}}
    # S3 refuses an object without a checksum there, and obstore sends one only if it is told to.
    variable = template["Globals"]["Function"]["Environment"]["Variables"]["STILLGOOD_BUCKET_CHECKSUM"]
    assert variable == {"Fn::If": ["Locks", "SHA256", ""]}


def test_a_key_of_ones_own_encrypts_and_every_role_that_touches_the_bucket_may_use_it(template: dict[str, Any]) -> None:
    key = "arn:aws:kms:eu-west-1:123456789012:key/1"
    assert not {"UseTheKey", "DeliverByTheKey"} & resolved(template).keys()
    resources = resolved(template, KmsKeyArn=key, CaptureTo="firehose")
    (rule,) = resources["Bucket"]["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    assert rule["BucketKeyEnabled"] is True
    roles = [
        role["Ref"] for name in ("UseTheKey", "DeliverByTheKey") for role in resources[name]["Properties"]["Roles"]
    ]
    assert roles == [*(f"{name}Role" for name in FUNCTIONS), "CaptureStreamRole"]
    for name in ("UseTheKey", "DeliverByTheKey"):
        (statement,) = resources[name]["Properties"]["PolicyDocument"]["Statement"]
        assert (statement["Action"], statement["Resource"]) == (["kms:Decrypt", "kms:GenerateDataKey"], key)
    assert "DeliverByTheKey" not in resolved(template, KmsKeyArn=key)
