"""The contract in force: what training learns by."""

from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import DocumentUnusable, InvalidEvent, ObjectNotFound
from stillgood.storage.codec import decode_any
from stillgood.storage.keys import CONTRACT_KEY
from stillgood.storage.objects import ObjectStore


def contract_in_force(store: ObjectStore) -> Contract:
    """The contract in force. Raises InvalidEvent when there is none, ContractInvalid when it breaks a rule."""
    try:
        raw = decode_any(store.get(CONTRACT_KEY).data, what=CONTRACT_KEY)
    except ObjectNotFound as error:
        raise InvalidEvent(
            f"There is no {CONTRACT_KEY} in the store. Draft one with `stillgood contract draft`, and put it in force"
            " with `stillgood contract apply`."
        ) from error
    except DocumentUnusable as error:
        raise InvalidEvent(error.detail) from error
    return read_contract(raw)
