"""Every state that counts chunks can be computed by several processes: it has `merge`, and a test of it."""

import ast
from pathlib import Path

from tests.test_layout import ROOT, TREES

ROOMS = ("ctr.metrics", "ctr.evaluation", "ctr.preflight")  # whose classes count data
CLASSES = {
    (module, node.name): node
    for module, tree in TREES.items()
    if module.split(".")[0] == "ctr"
    for node in ast.walk(tree)
    if isinstance(node, ast.ClassDef)
}


def methods(node):
    return {one.name: one for one in node.body if isinstance(one, ast.FunctionDef)}


def adds_to_itself(node):
    """Return True for a class with a method that does `self.name += ...` once it is made."""
    return any(
        isinstance(one, ast.AugAssign)
        and isinstance(one.target, ast.Attribute)
        and isinstance(one.target.value, ast.Name)
        and one.target.value.id == "self"
        for name, method in methods(node).items()
        if name != "__init__"
        for one in ast.walk(method)
    )


def mergeable():
    return {key: methods(node)["merge"] for key, node in CLASSES.items() if "merge" in methods(node)}


def test_what_accumulates_merges():
    accumulating = {
        key
        for key, node in CLASSES.items()
        if "add" in methods(node) or (key[0].startswith(ROOMS) and adds_to_itself(node))
    }
    assert len(accumulating) > 10
    assert not accumulating - mergeable().keys()


def test_every_merge_is_of_two_states_of_one_class():
    for (_, name), merge in mergeable().items():
        assert ast.unparse(merge.args) == f"self, other: '{name}'", name
        assert ast.unparse(merge.returns) == repr(name)


def test_every_state_has_its_merge_tested():
    """Every mergeable class is named in a file that calls `check_merges`."""
    tested = set()
    for path in Path(ROOT / "tests").rglob("test_*.py"):
        names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        tested |= names if "check_merges" in names else set()
    assert not {name for _, name in mergeable()} - tested
