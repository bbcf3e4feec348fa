from __future__ import annotations

import importlib
import importlib.metadata

import pytest

import element_deeplabcut
from element_deeplabcut.guards import UnsupportedDataJointError, check_datajoint


@pytest.mark.parametrize(
    "version",
    ["0.14.10", "0.14.11", "0.15.0", "0.100.0", "1.0", "1.0.0", "1.99.1", "0.14.10.post1"],
)
def test_suitable_versions_pass(version):
    check_datajoint(version)


@pytest.mark.parametrize(
    "version",
    [
        "0.14.9",
        "0.14",
        "0.13.20",
        "0.9.99",
        "2.0.0",
        "2.0",
        "2.1.3",
        "2.0.0a1",
        "2.0rc1",
        "3.0",
        "10.0.0",
    ],
)
def test_unsuitable_versions_are_refused_with_what_to_install(version):
    with pytest.raises(UnsupportedDataJointError) as caught:
        check_datajoint(version)
    assert version in str(caught.value)
    assert "pip install 'datajoint>=0.14.10,<2'" in str(caught.value)


def test_the_refusal_is_an_import_error():
    assert issubclass(UnsupportedDataJointError, ImportError)


def test_the_package_does_not_import_under_datajoint_2(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.0.0")
    with pytest.raises(ImportError, match=r"2\.0\.0 is installed"):
        importlib.reload(element_deeplabcut)


def test_the_installed_version_is_checked_by_default(monkeypatch):
    asked = []

    def version(name):
        asked.append(name)
        return "0.14.10"

    monkeypatch.setattr(importlib.metadata, "version", version)
    check_datajoint()
    assert asked == ["datajoint"]
