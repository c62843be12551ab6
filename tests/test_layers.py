"""Who may import whom: the layers that keep every part readable, and replaceable, without the parts above it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS: tuple[tuple[str, ...], ...] = (
    ("streaming.__main__",),
    ("streaming.cli", "streaming.gateway.listening", "streaming.gateway.server"),
    ("streaming.gateway",),
    ("streaming.metrics", "streaming.logs"),
    ("streaming.session", "streaming.speech"),
    ("streaming.tdm",),
    ("streaming.cli.flags",),
    ("streaming.config", "streaming.commands", "streaming.endpoint", "streaming.files", "streaming.sound_formats"),
    ("streaming.company",),
    ("streaming.whole_files",),
    ("streaming.company.catalogue",),
    ("streaming.endpoint_tools",),
    ("streaming.tiny",),
    ("streaming.events", "streaming.ice", "streaming.keys"),
    ("omni.families",),
    ("omni.packaged", "omni.speech", "omni.text", "omni.vision", "omni.audio"),
    ("omni.nn", "omni.checkpoint"),
    ("omni.shapes",),
    ("omni.configs",),
    ("omni.model", "omni.types", "omni.timing"),
)
"""From top to bottom: a module imports from its own line and from those below it."""

FORBIDDEN_BELOW = {"asyncio", "socket", "threading", "multiprocessing", "concurrent", "aiohttp", "urllib", "http"}
"""The model is pure computation: no session, no network, no threads of its own."""


def modules() -> list[str]:
    paths = [path for name in ("omni", "streaming") for path in (ROOT / name).rglob("*.py")]
    return sorted(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths)


def path_of(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imports(module: str) -> Iterator[str]:
    """Every module that it names, wherever in its text: at the top, in a function, under TYPE_CHECKING."""
    known = set(modules())
    for node in ast.walk(ast.parse(path_of(module).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively, which hides the layer"
            assert node.module
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in known else node.module


def layer(module: str) -> int | None:
    """The line of a module: the one whose name is its longest prefix."""
    best = max(
        (
            (len(name), index)
            for index, names in enumerate(LAYERS)
            for name in names
            if f"{module}.".startswith(f"{name}.")
        ),
        default=None,
    )
    return None if best is None else best[1]


def is_ours(module: str) -> bool:
    return module.split(".", maxsplit=1)[0] in {"omni", "streaming"}


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_only_its_own_layer_and_those_below(module: str) -> None:
    if module in {"omni", "streaming"}:
        assert not [name for name in imports(module) if is_ours(name)]
        return
    own = layer(module)
    assert own is not None, f"{module} has no place in the layers"
    for name in imports(module):
        if is_ours(name) and name not in {"omni", "streaming"}:
            other = layer(name)
            assert other is not None, f"{name} has no place in the layers"
            assert other >= own, f"{module} (layer {own}) imports {name} (layer {other}, above it)"


@pytest.mark.parametrize("module", [name for name in modules() if name.startswith("omni")])
def test_the_model_does_no_io_of_its_own(module: str) -> None:
    found = {name.split(".")[0] for name in imports(module)} & FORBIDDEN_BELOW
    assert not found, f"{module} imports {found}"
    assert "environ" not in path_of(module).read_text(), f"{module} reads the environment"


@pytest.mark.parametrize("module", modules())
def test_nothing_rests_on_what_tests_compare_with(module: str) -> None:
    found = {name.split(".")[0] for name in imports(module)} & {"transformers", "vocos", "vector_quantize_pytorch"}
    assert not found, f"{module} imports {found}, which only a developer has"


def test_no_module_imports_itself_in_a_circle() -> None:
    known = set(modules())
    graph = {module: {name for name in imports(module) if name in known and name != module} for module in known}
    waiting = dict(graph)
    while free := [module for module, names in waiting.items() if not names & waiting.keys()]:
        for module in free:
            del waiting[module]
    assert not waiting, f"these import each other in a circle: {sorted(waiting)}"


def test_rates_are_written_in_one_place() -> None:
    allowed = ROOT / "omni" / "timing.py"
    for module in modules():
        path = path_of(module)
        numbers = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
        found = {value for value in numbers if isinstance(value, int)} & {16_000, 24_000, 48_000}
        assert path == allowed or not found, f"{module} writes {found}; take it from Timing"
