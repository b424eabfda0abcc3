"""`import quiesce as asyncio` has what this Python's asyncio has."""

from __future__ import annotations

import asyncio
import asyncio.subprocess
import warnings

import pytest

import quiesce


def public(names):
    return {name for name in names if not name.startswith("_")}


def test_each_public_name_of_asyncio_is_exported():
    assert set(asyncio.__all__) <= set(quiesce.__all__)


def test_each_exported_name_is_there():
    with warnings.catch_warnings():
        # asyncio's policies are deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        assert [name for name in quiesce.__all__ if not hasattr(quiesce, name)] == []


@pytest.mark.parametrize("name", sorted(public(dir(asyncio))))
def test_an_attribute_of_asyncio_is_an_attribute_of_quiesce(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert hasattr(quiesce, name)


def test_dir_lists_what_asyncio_lists():
    assert public(dir(asyncio)) <= set(dir(quiesce))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        quiesce.no_such_name  # noqa: B018
