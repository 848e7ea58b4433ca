"""Fixtures that several test files share."""

import pytest


@pytest.fixture(scope="session")
def shapes_set(tmp_path_factory):
    """Folder of a small set of rendered shapes (Pascal VOC): 12 pictures in the list train, 4 in val, 96 x 96."""
    from yolo3.datasets.shapes import write_shapes

    return write_shapes(tmp_path_factory.mktemp("shapes") / "set", num_train=12, num_val=4, image_size=96, seed=3)


@pytest.fixture(scope="module")
def slim_tiny():
    """The tiny network with an eighth of its filters: all its layers and names, a sixty-fourth of its weights."""
    from yolo3 import networks

    class SlimBlocks(networks.Blocks):
        def conv_bn_leaky(self, x, filters, size, strides=1, **options):
            return super().conv_bn_leaky(x, max(filters // 8, 4), size, strides, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "Blocks", SlimBlocks)
        yield
