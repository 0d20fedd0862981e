"""Monitor by pandas and scipy: all captures from S3 into one data frame, then a test a column."""

import os

import boto3
import pandas as pd
from rows import NUMBERS, captured, reference
from scipy.stats import chi2_contingency, ks_2samp

BUCKET = os.environ["STILLGOOD_BUCKET"]


def handler(event, context):
    s3 = boto3.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="capture/")
    keys = [entry["Key"] for page in pages for entry in page["Contents"]]
    now = captured(b"".join(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys))
    before, tests = reference(), {}
    for name in now.columns:
        if name in NUMBERS or name == "score":
            test = ks_2samp(before[name].dropna(), now[name].dropna(), method="asymp")
            tests[name] = [float(test.statistic), float(test.pvalue)]
        else:
            table = pd.concat([before[name].value_counts(), now[name].value_counts()], axis=1).fillna(0)
            statistic, p, *_ = chi2_contingency(table.to_numpy().T, correction=False)
            tests[name] = [float(statistic), float(p)]
    return {"rows": len(now), "found": tests}
