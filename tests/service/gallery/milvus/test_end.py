"""The end of an index in Milvus: nothing of it outlives its gallery."""

import threading
from contextlib import nullcontext

import pytest

from service.gallery.milvus.address import MilvusAddress
from service.gallery.milvus.index import MilvusIndex
from service.gallery.sqlite.writing import Writing
from tests.service.gallery.conftest import BUNDLE, DIMENSION, DIMENSIONS, OTHER, open_gallery, wait_until

pytest.importorskip("pymilvus")
NOBODY = MilvusAddress.parse("milvus://127.0.0.1:1")


def test_an_index_that_is_taken_up_while_its_gallery_ends_ends_with_it(tmp_path):
    gallery = open_gallery(tmp_path, index_address=NOBODY)
    first = gallery._active.index

    def take_up_another(_: Writing) -> None:
        wait_until(lambda: first._closing)
        gallery._serve(gallery._new_index(OTHER, DIMENSIONS[OTHER]))

    taken_up = gallery.store.submit(take_up_another)
    gallery.close()
    taken_up.result()
    assert gallery._active.index is not first
    left = followers()
    gallery._active.index.close()
    assert left == []


def test_an_index_that_is_closed_before_it_is_served_stays_closed(tmp_path):
    index = MilvusIndex(NOBODY, tmp_path, BUNDLE, DIMENSION, nullcontext)
    index.close()
    index.serve("late")
    try:
        wait_until(lambda: followers() == [])
    finally:
        index.close()


def followers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "milvus"]
