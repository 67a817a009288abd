"""Exact inner-product search over half-precision rows: no records, no storage, no HTTP."""

from reid.search.device import Device
from reid.search.index import ExactIndex
from reid.search.view import NO_ROW, View

__all__ = ["NO_ROW", "Device", "ExactIndex", "View"]
