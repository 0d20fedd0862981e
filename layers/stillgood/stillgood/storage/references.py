"""The frozen reference profile of a version, as monitoring reads it."""

from stillgood.domain.drift.reference import Reference
from stillgood.domain.errors import ModelUnusable, ObjectNotFound
from stillgood.domain.promotion.decision import Pointer
from stillgood.storage.codec import decode
from stillgood.storage.objects import ObjectStore


def read_reference(store: ObjectStore, pointer: Pointer) -> Reference:
    """The champion's reference. Raises ModelUnusable."""
    key = pointer.reference_key
    try:
        reference = Reference.from_dict(decode(store.get(key).data, format="stillgood.reference", what=key))
    except ObjectNotFound as error:
        raise ModelUnusable(
            f"{key} is missing, so nothing can be compared; restore it or promote another version."
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelUnusable(
            f"{key} is malformed ({type(error).__name__}: {error}); restore it or promote another version."
        ) from error
    if reference.version != pointer.version:
        raise ModelUnusable(f"{key} is of version {reference.version}, not of the champion {pointer.version}.")
    return reference
