"""Imports go one way, and what needs no TensorFlow starts without it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Folders and modules at the top of the package, level by level: each imports from the levels above it and from itself.
LEVELS = [
    "temporary file_states startup outputs memory",
    "ops files records detections precision settings progress",
    "arrays arguments compilation",
    "darknet datasets",
    "models input",
    "visualize convert",
    "inference",
    "evaluation compat",
    "training export",
    "detectors",
    "api",
    "cli",
    "model utils yolo __main__",
]
LEVEL_OF = {name: level for level, names in enumerate(LEVELS) for name in names.split()}
DOORS = {"model", "utils", "yolo", "__main__"}

WITHOUT_TENSORFLOW = (
    "settings ops.nms_methods ops.nms_numpy ops.boxes ops.letterbox files detections precision "
    "datasets.formats.registry datasets.shapes datasets.usable datasets.check_images datasets.check_boxes "
    "darknet.cfg darknet.sections "
    "darknet.layers darknet.heads darknet.names darknet.recipe darknet.weights models.architecture "
    "models.registry models.saving models.metadata models.loading models.yolov3.anchors "
    "models.yolov3.anchor_clusters models.yolov3.scales models.yolov3.loss_options visualize.boxes "
    "visualize.sheets visualize.curves inference.settings inference.detector inference.loading "
    "inference.detection_result "
    "inference.exported_network inference.runtimes.registry inference.videos inference.window inference.sources "
    "inference.candidates inference.demo_page "
    "inference.tile_merging inference.tiles inference.writers.coco_results inference.writers.drawn "
    "inference.writers.json_csv inference.summary evaluation.average_precision evaluation.measures "
    "evaluation.report evaluation.evaluate evaluation.recall export.settings evaluation.advice "
    "training.settings training.advice training.run_folder training.schedules "
    "ops.box_formats input.epoch_plan input.image_boxes input.augmentation_numpy input.usable_images "
    "arguments api.train api.evaluate training.recipes training.result training.whole_run "
    "training.sources training.image_lists training.trained_images "
    "input.settings compat.utils training.workload cli.main cli.options cli.train cli.detect cli.evaluate "
    "cli.export cli.demo cli.anchors cli.completion training.loggers cli.benchmark cli.convert_darknet "
    "cli.data.main cli.data.convert cli.data.split cli.data.stats "
).split()

PATHS = {
    ".".join(path.relative_to(ROOT / "yolo3").with_suffix("").parts): path for path in (ROOT / "yolo3").rglob("*.py")
}


def imported_folders(path):
    """Folders, or modules at the top of the package, that a file imports, at its top or inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: expected an absolute import"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return {name.split(".")[1] for name in names if name.startswith("yolo3.")} - {"__version__"}


@pytest.mark.parametrize("name", PATHS)
def test_a_module_imports_only_from_the_levels_above(name):
    folder = name.split(".")[0]
    for imported in imported_folders(PATHS[name]) - {folder}:
        assert LEVEL_OF[imported] < LEVEL_OF[folder], f"{name} imports yolo3.{imported}"


def test_nothing_inside_imports_the_doors_or_keras_yolo3s_names():
    inside = {name: path for name, path in PATHS.items() if name.split(".")[0] not in {"compat", *DOORS}}
    assert [name for name, path in inside.items() if imported_folders(path) & {"compat", *DOORS}] == []


def test_doors_hold_no_logic():
    for name in ("model", "utils", "yolo"):
        text, *imports, exported = ast.parse(PATHS[name].read_text()).body
        assert isinstance(text, ast.Expr) and {type(statement) for statement in imports} == {ast.ImportFrom}, name
        assert ast.unparse(exported).startswith("__all__ = ["), name


def imported_modules(name):
    """Modules of the package from which a module of it takes names."""
    nodes = [node for node in ast.walk(ast.parse(PATHS[name].read_text())) if isinstance(node, ast.ImportFrom)]
    return {f"{node.module}.{alias.name}".removeprefix("yolo3.") for node in nodes for alias in node.names}


def test_geometry_codec_targets_loss_and_selection_stay_apart():
    apart = {"ops.boxes", "ops.nms", "models.yolov3.head", "models.yolov3.targets", "models.yolov3.losses"}
    apart |= {"models.yolov3.postprocess", "models.yolov1.codec", "models.yolov1.targets", "models.yolov1.losses"}
    allowed = {
        "ops.boxes": set(),
        "models.yolov3.head": set(),
        "ops.nms": {"ops.boxes"},
        "models.yolov3.targets": {"ops.boxes"},
        "models.yolov3.losses": {"ops.boxes", "models.yolov3.head"},
        "models.yolov1.codec": set(),
        "models.yolov1.targets": {"ops.boxes", "models.yolov1.codec"},
        "models.yolov1.losses": {"models.yolov1.codec"},
    }
    for name, others in allowed.items():
        used = {
            other for other in apart for imported in imported_modules(name) if f"{imported}.".startswith(f"{other}.")
        }
        assert used <= others, name


def test_the_help_of_yolo3_itself_needs_no_numpy():
    program = "import sys; from yolo3.cli import main; main.build_parser(); sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


def test_modules_that_need_no_tensorflow_start_without_it():
    script = (
        "import importlib, sys\n"
        f"for name in {WITHOUT_TENSORFLOW}:\n"
        "    importlib.import_module('yolo3.' + name)\n"
        "    heavy = {'tensorflow', 'keras', 'jax', 'torch'} & set(sys.modules)\n"
        "    assert not heavy, f'{name} imports {heavy}'\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "", "importing a module prints nothing"
