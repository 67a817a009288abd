"""The core of person re-identification: networks, bundles, embeddings, search and evaluation.

Knows neither HTTP nor experiments; `trainer` and `service` both stand on it.
"""
