"""Contracts whose settings were put in force without a model, by their hash; the newest decision names the one."""

from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.contract.settings import with_settings
from stillgood.domain.errors import DocumentUnusable, ObjectNotFound
from stillgood.domain.promotion.orders import Orders
from stillgood.storage.codec import decode_any, encode, sha256
from stillgood.storage.keys import settings_key
from stillgood.storage.objects import ObjectStore


def write_settings(store: ObjectStore, contract: Contract) -> str:
    """Keep a contract; returns the sha256 of its bytes, by which a decision names it."""
    data = encode(contract.to_dict())
    store.put(settings_key(sha256(data)), data)
    return sha256(data)


def read_settings(store: ObjectStore, digest: str) -> Contract:
    """Raises DocumentUnusable for what is missing or was changed, UnknownVersion for what is no hash."""
    key = settings_key(digest)
    try:
        data = store.get(key).data
    except ObjectNotFound as error:
        raise DocumentUnusable(f"{key}, whose settings a decision put in force, is missing; apply it again.") from error
    if sha256(data) != digest:
        raise DocumentUnusable(f"{key} is not what was put in force; apply the contract again.")
    return read_contract(decode_any(data, what=key))


def effective(store: ObjectStore, contract: Contract, orders: Orders) -> Contract:
    """``contract``, a model's own, under the settings in force. Raises DocumentUnusable, StoreUnavailable."""
    if orders.settings is None or orders.settings.learnt_by == contract.sha256:
        return contract
    return with_settings(contract, read_settings(store, orders.settings.contract))
