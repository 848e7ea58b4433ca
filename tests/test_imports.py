"""A module imports only from lower levels; what needs no TensorFlow starts without it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Level by level; a module may import those of the levels before its own. Packages without code are left out.
LEVELS = [
    "boxes images files scales schedules loss_options devices darknet.cfg",
    "datasets.annotation metrics draw videos config darknet.layers",
    "augment anchors datasets.keras_yolo3 datasets.pascal_voc datasets.coco datasets.yolo_txt darknet.weights "
    "tiles sources",
    "datasets.formats datasets.shapes utils run_folder sheets detection_files measures charts",
    "advice backbones rewriting fused head targets nms focal darknet.local",
    "report networks losses postprocess image_store datasets.checks architecture",
    "darknet.network darknet.recipe optimizers rpn pipeline",
    "yolov3 yolov1 retinanet darknet.from_keras",
    "architectures",
    "saving preparation",
    "trainer detector legacy",
    "benchmark validation evaluation yolo export darknet.conversion run_images",
    "training",
    "cli",
    "cli.train cli.convert_darknet cli.detect cli.evaluate cli.anchors cli.export cli.benchmark",
    "__main__ model",
]
LEVEL_OF = {name: level for level, names in enumerate(LEVELS) for name in names.split()}

WITHOUT_TENSORFLOW = (
    "boxes images files scales schedules anchors metrics draw config run_folder saving utils cli "
    "videos sources tiles detection_files "
    "datasets.annotation datasets.keras_yolo3 datasets.pascal_voc datasets.coco datasets.yolo_txt datasets.formats "
    "datasets.shapes darknet.cfg darknet.layers darknet.weights measures charts advice report"
).split()


def find_modules():
    """Path of each module of the package that holds code, by its name within the package."""
    modules = {}
    for path in sorted((ROOT / "yolo3").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT / "yolo3").with_suffix("").parts).removesuffix("__init__").rstrip(".")
        if name and any(not is_text(statement) for statement in ast.parse(path.read_text()).body):
            modules[name] = path
    return modules


def is_text(statement):
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


MODULES = find_modules()


def imports_of(path):
    """Names, within the package, of the modules that a file imports, at its top or inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{path}:{node.lineno}: expected an absolute import")
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    return {name.removeprefix("yolo3.") for name in names if name.startswith("yolo3.")} & MODULES.keys()


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_from_lower_levels(name):
    assert name in LEVEL_OF, f"{name}: give it a level in {Path(__file__).name}"
    for imported in imports_of(MODULES[name]):
        assert LEVEL_OF[imported] < LEVEL_OF[name], f"{name} imports {imported}"


def test_nothing_inside_imports_the_public_door():
    assert [name for name, path in MODULES.items() if "model" in imports_of(path)] == []


def test_geometry_codec_targets_loss_and_selection_stay_apart():
    assert imports_of(MODULES["head"]) == set()
    assert imports_of(MODULES["nms"]) == {"boxes"}
    assert imports_of(MODULES["targets"]) == {"boxes", "scales"}
    assert imports_of(MODULES["losses"]) == {"boxes", "head", "scales", "focal", "loss_options"}


def test_the_help_of_yolo3_itself_needs_no_numpy():
    program = "import sys; import yolo3.cli; yolo3.cli.build_parser(); sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


def test_what_needs_no_tensorflow_starts_without_it():
    present = [f"yolo3.{name}" for name in WITHOUT_TENSORFLOW if name in MODULES]
    script = (
        "import importlib, sys\n"
        f"for name in {present}:\n"
        "    importlib.import_module(name)\n"
        "    heavy = {'tensorflow', 'keras', 'jax', 'torch'} & set(sys.modules)\n"
        "    assert not heavy, f'{name} imports {heavy}'\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "", "importing a module prints nothing"
