"""Which rows have which outcome, and how the contract spells the two."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.dialect import DOUBTFUL_WORDS, MISSING_WORDS, YES_WORDS
from stillgood.domain.contract.draft_note import DraftNote, Words
from stillgood.domain.errors import ContractInvalid


def read_outcome(
    target: str, positive: str | None, texts: Sequence[str], words: Words, notes: list[DraftNote]
) -> tuple[npt.NDArray[np.int8], tuple[str, str]]:
    """int8[n], -1 where the outcome is unknown; and the two values as the contract spells them, the negative one
    first.
    """
    counts = Counter(texts)
    unknown = {text for text in counts if not text or text.casefold() in MISSING_WORDS | DOUBTFUL_WORDS}
    groups: dict[object, Counter[str]] = {}
    for text, count in counts.items():
        if text not in unknown:
            groups.setdefault(_same(text), Counter())[text] = count
    # A stray value ("Total") is an exception; a third outcome is not.
    rare = [key for key, spellings in groups.items() if spellings.total() <= 0.01 * len(texts)]
    if len(groups) > 2 and len(groups) - len(rare) == 2:
        for key in rare:
            listed = ", ".join(map(repr, groups.pop(key)))
            notes.append(DraftNote(target, f"{listed} is neither of the two outcomes", "such rows are refused"))
    two = list(groups)
    wanted = None if positive is None else _same(positive.strip())
    if wanted is None and len(two) == 2:
        yes = [key for key in two if any(text.lower() in YES_WORDS for text in groups[key])]
        wanted = yes[0] if len(yes) == 1 else None
        if wanted is None:
            raise ContractInvalid(
                f"{target} is {' or '.join(next(iter(groups[key])) for key in two)}; name the one to predict as"
                " positive."
            )
    if len(two) != 2 or wanted not in two:
        seen = ", ".join(repr(next(iter(groups[key]))) for key in two[:10]) or "nothing"
        raise ContractInvalid(
            f"{target} must have two values, one of them {positive!r}; it has {seen}. Name the outcome column and its"
            " positive value."
        )
    if blank := sum(counts[text] for text in unknown):
        listed = ", ".join(repr(text) for text in sorted(unknown))
        notes.append(
            DraftNote(
                target,
                f"{blank} rows have no outcome ({listed})",
                "they are not looked at, and training refuses them by line",
            )
        )
        words.missing.update(dict.fromkeys(text for text in sorted(unknown) if text))
    negative = next(key for key in two if key != wanted)
    yes_text = (
        positive.strip() if positive and positive.strip() in groups[wanted] else groups[wanted].most_common(1)[0][0]
    )
    alike = [
        text
        for text, _ in groups[negative].most_common()
        if (text.istitle(), text.isupper()) == (yes_text.istitle(), yes_text.isupper())
    ]
    spelt = ((alike or [groups[negative].most_common(1)[0][0]])[0], yes_text)
    spellings = [text for key in (negative, wanted) for text in sorted(groups[key])]
    if len(spellings) > 2:
        notes.append(
            DraftNote(
                target,
                f"it is spelt {', '.join(map(repr, spellings))}",
                f"case and form are folded to {spelt[1]!r} and {spelt[0]!r}",
            )
        )
    by_text = {text: int(key == wanted) for key in two for text in groups[key]}
    return np.array([by_text.get(text, -1) for text in texts], dtype=np.int8), spelt


def _same(text: str) -> object:
    """Outcomes that are one: without case, and as numbers."""
    try:
        return float(text)
    except ValueError:
        return text.casefold()
