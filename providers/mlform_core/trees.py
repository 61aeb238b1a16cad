"""Checks that the trees of a loaded model are whole.

scikit-learn follows the indices in a tree's nodes without looking, so those of a crafted or
damaged file could read any memory or walk in circles. Types alone do not tell.
"""

from __future__ import annotations

from typing import Any

from mlform_core.estimators import walk


def faults(model: Any) -> list[str]:
    """Return what is wrong with the trees among a loaded model's parts: one line for each kind."""
    found: dict[str, None] = {}
    for part in walk(model):
        for fault in _faults_of(part):
            found[fault] = None
    return list(found)


def _faults_of(part: Any) -> list[str]:
    kind = type(part).__name__
    if kind == "Tree":
        inner = part.children_left != -1
        return _nodes(part.children_left, part.children_right, inner) + _features(
            part.feature[inner], part.n_features
        )
    if kind == "TreePredictor":
        return _predictor(part)
    return _owner(part)


def _nodes(left: Any, right: Any, inner: Any) -> list[str]:
    """Check that children exist and come after their parent, as every builder numbers them."""
    import numpy as np

    own = np.flatnonzero(inner)
    for side in (left, right):
        # uint32 in one kind of tree: compared as signed, nothing wraps around.
        children = side[inner].astype(np.int64)
        if (children <= own).any() or (children >= len(inner)).any():
            return ["a tree whose nodes do not form one"]
    return []


def _features(used: Any, count: int) -> list[str]:
    if used.size and (used.min() < 0 or used.max() >= count):
        return ["a tree that splits on a feature it does not have"]
    return []


def _predictor(part: Any) -> list[str]:
    nodes = part.nodes
    inner = nodes["is_leaf"] == 0
    out = _nodes(nodes["left"], nodes["right"], inner)
    chosen = nodes["bitset_idx"][inner & (nodes["is_categorical"] != 0)]
    rows = min(len(part.raw_left_cat_bitsets), len(part.binned_left_cat_bitsets))
    if chosen.size and chosen.max() >= rows:
        out.append("a tree whose categories do not exist")
    return out


def _owner(part: Any) -> list[str]:
    """Check trees against the number of features that their owner lets through."""
    import numpy as np

    attributes = getattr(part, "__dict__", {})
    count = attributes.get("n_features_in_")
    if count is None:
        return []
    trees = [attributes.get("tree_")]
    if type(part).__module__.startswith(("sklearn.ensemble._forest", "sklearn.ensemble._gb")):
        grown = np.ravel(np.asarray(attributes.get("estimators_", []), dtype=object))
        trees += [getattr(tree, "tree_", None) for tree in grown]
    if any(tree is not None and tree.n_features != count for tree in trees):
        return ["a tree for another number of features"]
    out: list[str] = []
    for row in attributes.get("_predictors", []):
        for tree in row:
            out += _features(tree.nodes["feature_idx"][tree.nodes["is_leaf"] == 0], count)
    return out
