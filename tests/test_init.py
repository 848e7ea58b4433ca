"""The names at the top of the package: imported when they are used, and not before."""

import subprocess
import sys

import pytest

import yolo3


def test_importing_the_package_imports_nothing_heavy():
    program = (
        "import sys, yolo3\n"
        "heavy = {'numpy', 'keras', 'tensorflow', 'jax', 'torch', 'cv2'} & set(sys.modules)\n"
        "sys.exit(f'imports {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_name_is_that_of_its_own_module_and_is_listed():
    from yolo3.inference.detector import Detector

    assert yolo3.Detector is Detector
    assert {"Detector", "__version__"} <= {*yolo3.__all__} <= {*dir(yolo3)}


def test_an_unknown_name_says_which_there_are():
    with pytest.raises(AttributeError, match="no attribute 'Detektor'; it has .*Detector"):
        yolo3.Detektor  # noqa: B018
