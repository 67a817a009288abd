"""Exact inner-product search over half-precision rows: no records, no storage, no HTTP."""

from reid.search.index import NO_ROW, ExactIndex

__all__ = ["NO_ROW", "ExactIndex"]
