"""Settings: read from REID_* variables, refused with the variable's name."""

import os
from pathlib import Path

import faiss
import pytest

from service.core import _search_device
from service.settings import SettingsError, is_loopback, load_settings, masked


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("REID_"):
            monkeypatch.delenv(name)


def test_flags_win_over_the_environment_and_that_over_defaults(monkeypatch):
    monkeypatch.setenv("REID_PORT", "9000")
    monkeypatch.setenv("REID_HOST", "127.0.0.2")
    settings = load_settings(host=None, port=9001)
    assert (settings.host, settings.port, settings.device) == ("127.0.0.2", 9001, "auto")


def test_the_store_lies_inside_the_home(monkeypatch, tmp_path):
    monkeypatch.setenv("REID_HOME", str(tmp_path))
    assert load_settings().store_address == tmp_path / "gallery.sqlite"
    monkeypatch.setenv("REID_STORE", "sqlite:///elsewhere/it.sqlite")
    assert load_settings().store_address == Path("/elsewhere/it.sqlite")


def test_a_folder_for_crops_is_for_services_over_one_redis(monkeypatch, tmp_path):
    monkeypatch.setenv("REID_CROPS", str(tmp_path))
    with pytest.raises(SettingsError, match="REID_CROPS is for services over one Redis"):
        load_settings()
    monkeypatch.setenv("REID_STORE", "redis://127.0.0.1")
    assert load_settings().store_address.crops == tmp_path


def test_searches_leave_a_gpu_alone_that_embeds_nothing(monkeypatch):
    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1, raising=False)
    assert _search_device("cpu") is None


def test_the_data_folder_of_other_tools_is_accepted(monkeypatch):
    monkeypatch.setenv("REID_DATASETS", "/data")
    assert load_settings().datasets == Path("/data")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("REID_TOPK", "3", "REID_TOPK: no such setting; the nearest known name is REID_STORE"),
        ("REID_HOMES", "/x", "REID_HOMES: no such setting; the nearest known name is REID_HOME"),
        ("REID_PORT", "tcp://10.0.0.1:80", "REID_PORT: .*integer.*got 'tcp://10.0.0.1:80'"),
        ("REID_PORT", "70000", "REID_PORT: .*65535, got '70000'"),
        ("REID_STORE", "redis://u:secret@h/0?db=1", r"REID_STORE: expected redis://HOST.*'redis://u:\*\*\*@h/0\?db=1'"),
        ("REID_STORE", "redis://h:70000", "REID_STORE: .*Port"),
        ("REID_STORE", "redis://h?gallery={a}", "REID_STORE: expected a gallery of 1 to 64 letters"),
        ("REID_STORE", "sqlite://", "REID_STORE: expected sqlite://FILE"),
        ("REID_INDEX", "qdrant://h", "REID_INDEX: .*faiss://.*got 'qdrant://h'"),
        ("REID_INDEX", "milvus://u:secret@h?index=ivf", r"REID_INDEX: .*hnsw.*got 'milvus://u:\*\*\*@h"),
        ("REID_AUTH", "none", "REID_AUTH: .*'keys' or 'off', got 'none'"),
        ("REID_MAX_BODY_BYTES", "0", "REID_MAX_BODY_BYTES: .*got '0'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(monkeypatch, name, value, message):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=message) as refused:
        load_settings()
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "example.org", ""])
def test_without_keys_only_loopback_is_served(monkeypatch, host):
    monkeypatch.setenv("REID_AUTH", "off")
    with pytest.raises(SettingsError, match=r"REID_AUTH=off .* loopback"):
        load_settings(host=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_without_keys_loopback_is_served(monkeypatch, host):
    monkeypatch.setenv("REID_AUTH", "off")
    assert load_settings(host=host).host == host
    assert is_loopback(host)


def test_passwords_in_urls_are_masked():
    assert masked("redis://me:pass@host:1/0") == "redis://me:***@host:1/0"
    assert masked("sqlite://gallery.sqlite") == "sqlite://gallery.sqlite"
