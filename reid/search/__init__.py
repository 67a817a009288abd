"""Exact inner-product search over half-precision rows: no records, no storage, no HTTP."""

from reid.search.index import ExactIndex

__all__ = ["ExactIndex"]
