"""Monitor by evidently, with the same tests. The captures lie in one local file already, which favours it."""

import json

from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
from rows import NUMBERS, captured, reference

now, before = captured(), reference()
numbers = [*NUMBERS, "score"]
definition = DataDefinition(
    numerical_columns=numbers, categorical_columns=[name for name in now.columns if name not in numbers]
)
report = Report([DataDriftPreset(num_method="ks", cat_method="chisquare")])
result = report.run(Dataset.from_pandas(now, definition), Dataset.from_pandas(before, definition))
print(json.dumps({"answer": {"rows": len(now), "metrics": len(json.loads(result.json())["metrics"])}}))
