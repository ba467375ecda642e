"""One canonical form and one digest for everything that is signed or compared.

Source: RFC 8785 (JSON Canonicalization Scheme), through the ``rfc8785`` package.
"""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785
from pydantic import BaseModel

UNREAD = "sha256:" + "0" * 64
"""Stands for the digest of a system in a plan that is only held against rules, which read none; nothing has it."""


def canonical(value: BaseModel | dict[str, Any]) -> bytes:
    """The RFC 8785 bytes of ``value``. Raises ``rfc8785.CanonicalizationError`` for what JSON cannot carry."""
    data = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return rfc8785.dumps(data)


def digest(value: BaseModel | dict[str, Any]) -> str:
    """``sha256:<64 hex>`` over the canonical form: equal for equal content, whatever the key order or spelling."""
    return "sha256:" + hashlib.sha256(canonical(value)).hexdigest()
