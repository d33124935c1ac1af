"""No module can execute the contents of a file: no pickle, eval, unsafe YAML or saved Keras model, under any name."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [path for name in ("ctr", "features", "models", "optimizers", "scripts") for path in (ROOT / name).rglob("*")]
SOURCES = [path for path in SOURCES if path.suffix == ".py"]
RUNS_CODE = {
    *("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "runpy"),
    *("eval", "exec", "__import__", "__builtins__", "builtins", "system", "popen", "shell", "read_pickle", "to_pickle"),
    *("unsafe_load", "full_load", "UnsafeLoader", "FullLoader", "Loader", "CLoader", "unsafe_load_all", "load_all"),
    *("load_model", "saved_model", "model_from_json", "model_from_yaml", "model_from_config"),
    "enable_unsafe_deserialization",
}
AS = {"numpy": "np", "yaml": None}  # modules with a `load`, and the one name that each has


def names_in(tree):
    """Yield every name with its node: variables, attributes, imports, keywords and whole strings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id, node
        elif isinstance(node, ast.Attribute):
            yield node.attr, node
        elif isinstance(node, ast.keyword):
            yield node.arg, node.value
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value, node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            parts = [part for alias in node.names for part in alias.name.split(".")]
            for part in [*parts, *(getattr(node, "module", None) or "").split(".")]:
                yield part, node


def unsafe_in(source):
    """Return the lines of a program that could execute the contents of a file."""
    tree = ast.parse(source)
    found = [f"line {node.lineno}: {name}" for name, node in names_in(tree) if name in RUNS_CODE]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            others = [one for one in node.names if one.name in AS and one.asname != AS[one.name]]
            found += [f"line {node.lineno}: {one.name} as {one.asname}" for one in others]
            if getattr(node, "module", None) in AS and any(alias.name in ("load", "*") for alias in node.names):
                found.append(f"line {node.lineno}: from {node.module} import load")
        if isinstance(node, ast.Attribute) and node.attr == "load" and getattr(node.value, "id", "") in ("np", "yaml"):
            call = next((one for one in ast.walk(tree) if isinstance(one, ast.Call) and one.func is node), None)
            if call is None or not is_safe_load(node.value.id, call):
                found.append(f"line {node.lineno}: {ast.unparse(call or node)}")
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("compile", "getattr", "import_module"):
            constant = len(node.args) > 1 and isinstance(node.args[1], ast.Constant | ast.Name | ast.JoinedStr)
            if node.func.id == "compile" or (node.func.id == "getattr" and not constant):
                found.append(f"line {node.lineno}: {ast.unparse(node)}")
    return found


def is_safe_load(module, call):
    if module == "yaml":
        return len(call.args) == 2 and ast.unparse(call.args[1]) == "_Loader"  # a SafeLoader
    return any(word.arg == "allow_pickle" and ast.unparse(word.value) == "False" for word in call.keywords)


def test_no_module_can_run_what_a_file_says():
    assert len(SOURCES) > 100
    found = {str(path.relative_to(ROOT)): unsafe_in(path.read_text()) for path in SOURCES}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle as p",
        "from pickle import loads",
        "from importlib import import_module; import_module('pickle')",
        "run = eval; run(text)",
        "getattr(builtins, 'ev' + 'al')",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "read = np.load",
        "from numpy import load",
        "import numpy as n; n.load(path)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.load(text, other)",
        "from yaml import load as safe_load",
        "tf_keras.models.load_model(path)",
        "subprocess.run(text, shell=True)",
        "os.system(text)",
        "compile(text, path, mode)",
    ],
)
def test_no_alias_hides_it(source):
    assert unsafe_in(source)
