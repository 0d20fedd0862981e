"""Monitor by NannyML, with the same tests. The captures lie in one local file already, which favours it."""

import json

import nannyml
from rows import NUMBERS, captured, reference

now, before = captured(), reference()
numbers = [*NUMBERS, "score"]
for frame in (now, before):
    for name in frame.columns.difference(numbers):
        frame[name] = frame[name].astype(str).astype("category")
calculator = nannyml.UnivariateDriftCalculator(
    column_names=list(now.columns),
    continuous_methods=["kolmogorov_smirnov"],
    categorical_methods=["chi2"],
    chunk_number=1,
)
result = calculator.fit(before).calculate(now).to_df()
print(json.dumps({"answer": {"rows": len(now), "metrics": result.shape[1]}}))
