"""The project keeps its own promises: names, imports, files, locks and the list of public names."""

import ast
import fnmatch
import inspect
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
API = runpy.run_path(str(ROOT / "docs" / "api.py"))
MODULES: list[ModuleType] = API["public_modules"]()
PACKAGES = [module for module in MODULES if hasattr(module, "__path__")]
EXPORTS = [(module, name) for module in MODULES for name in getattr(module, "__all__", ())]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SAMPLES = "data/samples/"
MEGABYTE = 1_000_000

REGISTRY = re.compile(
    r"pypi\.org|pythonhosted\.org|anaconda\.org|npmjs\.(?:com|org)|jfrog\.io|/simpl[e]/"
)
MACHINE_PATH = re.compile(
    r"(?<![\w.$)}~-])/(?:work|root|tmp|opt/\w+|home/\w+|Users/\w+)/\w|\b[A-Z]:\\Users\\"
)


# --- names ----------------------------------------------------------------------------------------


def _name(thing: object) -> str:
    return getattr(thing, "__name__", str(thing))


def _defines_names(package: ModuleType) -> bool:
    tree = ast.parse(inspect.getsource(package))
    return any(
        not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in tree.body
    )


def _in_order(name: str) -> tuple[bool, bool, str]:
    return (not name.isupper(), not name[0].isupper(), name)


@pytest.mark.parametrize("package", PACKAGES, ids=_name)
def test_a_package_says_in_order_what_it_exports(package: ModuleType) -> None:
    if not _defines_names(package):
        assert not hasattr(package, "__all__")
        return
    exported = list(package.__all__)
    assert exported == sorted(set(exported), key=_in_order)


@pytest.mark.parametrize("package", PACKAGES, ids=_name)
def test_a_package_asks_the_question_it_answers(package: ModuleType) -> None:
    assert (package.__doc__ or "").strip().partition("\n")[0].endswith("?")


@pytest.mark.parametrize(("module", "name"), EXPORTS, ids=_name)
def test_an_exported_name_is_there_and_documented(module: ModuleType, name: str) -> None:
    thing = getattr(module, name)
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        return
    if not thing.__module__.startswith("mlmarket"):
        return
    assert _missing_sections(thing) == []


def _missing_sections(thing: type | object) -> list[str]:
    """Name what a numpydoc docstring of a class or function would have and this one lacks."""
    text = vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__
    if not text:
        return ["docstring"]
    if "Parameters as in :func:" in text:  # one of a family that takes and gives the same
        return []
    headings = set(re.findall(r"^ *(\w+)\n *-{3,}$", inspect.cleandoc(text), flags=re.MULTILINE))
    wanted = []
    if _takes_arguments(thing) and not headings & {"Parameters", "Attributes"}:
        wanted.append("Parameters")
    if _gives_something(thing) and not headings & {"Returns", "Yields"}:
        wanted.append("Returns")
    return wanted


def _takes_arguments(thing: object) -> bool:
    if inspect.isclass(thing):
        own = vars(thing).get("__init__")
        if own is None or getattr(thing, "_is_protocol", False):
            return False
        return len(inspect.signature(own).parameters) > 1
    return bool(inspect.signature(thing).parameters)


def _gives_something(thing: object) -> bool:
    if inspect.isclass(thing):
        return False
    return inspect.signature(thing).return_annotation not in (None, "None", "NoReturn")


def test_the_list_of_public_names_is_that_of_the_code() -> None:
    expected = API["page"]()
    page = ROOT / "docs" / "api.md"
    found = page.read_text(encoding="utf-8") if page.exists() else ""
    if found != expected:
        pytest.fail(f"docs/api.md is out of date: run make api, or paste\n\n{expected}")


# --- imports --------------------------------------------------------------------------------------


def _loaded_after(*modules: str, among: set[str]) -> list[str]:
    code = "\n".join(
        [
            "import sys",
            *(f"import {module}" for module in modules),
            f"print(*sorted({among!r} & set(sys.modules)))",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout.split()


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = {
        "duckdb",
        "ibis",
        "lightgbm",
        "matplotlib",
        "mlflow",
        "numba",
        "numpy",
        "optuna",
        "pandas",
        "pyarrow",
        "pydantic",
        "scipy",
        "sklearn",
        "sqlglot",
        "typer",
    }
    assert _loaded_after("mlmarket", among=heavy) == []


def test_only_the_registry_imports_the_experiment_tracker() -> None:
    others = [module.__name__ for module in MODULES if module.__name__ != "mlmarket.registry"]
    assert _loaded_after(*others, among={"mlflow", "optuna"}) == []


# --- files ----------------------------------------------------------------------------------------


def _is_ignored(path: Path, patterns: list[str]) -> bool:
    return any(
        fnmatch.fnmatch(part, pattern)
        for part in path.relative_to(ROOT).parts
        for pattern in patterns
    )


def _walked_files() -> list[Path]:
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    patterns = [".git", *(line.strip("/") for line in lines if line and line[0] != "#")]
    return [p for p in ROOT.rglob("*") if p.is_file() and not _is_ignored(p, patterns)]


def _files() -> list[Path]:
    """Return the files of the project: those git knows or would add, all of a tree without git."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return sorted(_walked_files())
    command = [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:  # git refuses a folder of another user
        return sorted(_walked_files())
    paths = [ROOT / name for name in done.stdout.split("\0") if name]
    return sorted(path for path in paths if path.is_file())


FILES = _files()


def _lines_with(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in FILES:
        content = path.read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode("utf-8").splitlines(), start=1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    return found


def test_the_files_of_the_project_are_found() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in FILES}
    assert {"pyproject.toml", "mlmarket/errors.py", "requirements.lock", ".ci/run"} <= names


def test_no_file_names_a_package_registry() -> None:
    assert _lines_with(REGISTRY) == []


def test_no_file_names_a_place_on_one_machine() -> None:
    assert _lines_with(MACHINE_PATH) == []


@pytest.mark.parametrize(
    "line",
    [
        "cd /ro" + "ot/shop",
        "'/tm" + "p/x'",
        "see /ho" + "me/ada/shop",
        "file:///Us" + "ers/ada/x",
        "C:\\Us" + "ers\\ada",
    ],
)
def test_a_place_on_one_machine_is_recognised(line: str) -> None:
    assert MACHINE_PATH.search(line)


@pytest.mark.parametrize("line", ["$(HERE)/tmp/x", "docs/work/x", "~/home/ada", "and/tmp/or"])
def test_a_relative_place_is_allowed(line: str) -> None:
    assert not MACHINE_PATH.search(line)


def test_files_are_small() -> None:
    sizes = {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in FILES}
    samples = sum(size for name, size in sizes.items() if name.startswith(SAMPLES))
    assert samples < 10 * MEGABYTE
    large = [n for n, s in sizes.items() if s > 2 * MEGABYTE and not n.startswith(SAMPLES)]
    assert large == []


# --- locks ----------------------------------------------------------------------------------------


def _pins(lock: str) -> dict[str, list[Requirement]]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    pins: dict[str, list[Requirement]] = {}
    for line in re.findall(r"^[A-Za-z0-9].*?(?= \\$)", text, flags=re.MULTILINE):
        pin = Requirement(line)
        pins.setdefault(canonicalize_name(pin.name), []).append(pin)
    return pins


def _group(name: str) -> list[str]:
    wanted = []
    for entry in PROJECT["dependency-groups"][name]:
        wanted += _group(entry["include-group"]) if isinstance(entry, dict) else [entry]
    return wanted


RUNTIME = PROJECT["project"]["dependencies"]
WANTED = [("requirements.lock", text) for text in [*RUNTIME, *_group("build")]]
WANTED += [("requirements-dev.lock", text) for text in [*RUNTIME, *_group("dev")]]
WANTED += [("requirements-spark.lock", text) for text in _group("spark")]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-spark.lock")


@pytest.mark.parametrize(("lock", "text"), WANTED)
def test_the_lock_holds_an_allowed_version_of_each_dependency(lock: str, text: str) -> None:
    wanted = Requirement(text)
    pins = _pins(lock).get(canonicalize_name(wanted.name), [])
    versions = [next(iter(pin.specifier)).version for pin in pins]
    assert versions, f"run make lock: {wanted.name} is not in {lock}"
    assert all(wanted.specifier.contains(version) for version in versions)


def test_both_locks_hold_the_same_versions() -> None:
    runtime, development = _pins("requirements.lock"), _pins("requirements-dev.lock")
    assert runtime.keys() <= development.keys()
    for name, pins in runtime.items():
        assert {str(p.specifier) for p in pins} == {str(p.specifier) for p in development[name]}


@pytest.mark.parametrize("lock", LOCKS)
def test_each_pin_has_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = re.findall(
        r"^[A-Za-z0-9].*\n(?: +--hash=sha256:[0-9a-f]{64}.*\n)+", text, re.MULTILINE
    )
    assert len(entries) == sum(len(pins) for pins in _pins(lock).values()) > 0
    assert "://" not in text
    assert not re.search(r"^ *--(?!hash=)", text, flags=re.MULTILINE)
