"""An empty store, an empty layout."""

from __future__ import annotations

from tests.layout_helper import layout, store

__all__ = ["layout", "store"]
