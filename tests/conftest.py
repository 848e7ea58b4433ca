"""Fixtures that several test files share."""

import os

import pytest

os.environ["YOLO3_DATA_CACHE"] = "off"  # but for the tests of the cache: no test writes beside the data it reads
os.environ["YOLO3_COMPILED_CACHE"] = "off"
os.environ["YOLO3_WEIGHTS"] = os.path.join(
    os.sep, "none"
)  # published weights at hand would change what a run starts from


@pytest.fixture(scope="session")
def shapes_set(tmp_path_factory):
    """Folder of a small set of rendered shapes (Pascal VOC): 12 images in the list train, 4 in val, 96 x 96."""
    from yolo3.datasets.shapes import write_shapes

    return write_shapes(tmp_path_factory.mktemp("shapes") / "set", num_train=12, num_val=4, image_size=96, seed=3)


@pytest.fixture(scope="module")
def slim_tiny():
    """The tiny network with an eighth of its filters: all its layers and names, a sixty-fourth of its weights."""
    from yolo3.models.yolov3 import networks

    class SlimBlocks(networks.Blocks):
        def conv_bn_leaky(self, x, filters, size, strides=1, **options):
            return super().conv_bn_leaky(x, max(filters // 8, 4), size, strides, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "Blocks", SlimBlocks)
        yield


@pytest.fixture(scope="module")
def eagerly():
    """Steps run operation by operation: a short run is over before a graph would be built."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """File of the network of test_detector, which finds red and green cells."""
    from tests.inference.test_detector import METADATA, cell_network
    from yolo3.models.saving import save_model

    path = tmp_path_factory.mktemp("weights") / "m.h5"
    save_model(cell_network(), path, METADATA)
    return str(path)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a red and a green image in it."""
    from tests.inference.test_detector import sample_image
    from yolo3.datasets.images import write_image

    monkeypatch.chdir(tmp_path)
    write_image("red.png", sample_image())
    write_image("green.png", sample_image(colour=(0, 255, 0)))
    return tmp_path
