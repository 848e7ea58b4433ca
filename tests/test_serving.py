"""The programs of docs/serving.md, taken from the page: FastAPI in use, and the request to TensorFlow Serving."""

import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.export.networks import cells, need
from tests.inference.test_detector import sample_image
from yolo3.datasets.images import write_image

PAGE = Path(__file__).parents[1] / "docs" / "serving.md"
SERVER, CLIENT = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)

pytestmark = pytest.mark.slow


@contextmanager
def serving(folder):
    """Run the server of the page in a folder with best.onnx; give its address."""
    (folder / "serve.py").write_text(SERVER)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "serve:app", "--port", str(port), "--log-level", "warning"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as server:
        try:
            deadline = time.monotonic() + 120
            while server.poll() is None and time.monotonic() < deadline:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            assert server.poll() is None, server.stderr.read()
            yield f"http://127.0.0.1:{port}/detect"
        finally:
            server.terminate()


def post(url, content):
    """Return status and answer of a POST."""
    try:
        with urllib.request.urlopen(url, data=content, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_server_of_the_page_detects_and_refuses_what_is_no_image(tmp_path):
    need("onnx")
    for package in ("fastapi", "uvicorn"):
        pytest.importorskip(package, reason=f"needs {package}")
    from yolo3.export.export import export
    from yolo3.export.settings import ExportSettings

    export(cells(), tmp_path / "best.onnx", ExportSettings(format="onnx"))
    write_image(tmp_path / "red.png", sample_image())
    expected = cells()(sample_image())

    with serving(tmp_path) as url:
        status, found = post(url, (tmp_path / "red.png").read_bytes())
        assert status == 200 and [one["class"] for one in found] == ["red"] * len(expected)
        np.testing.assert_allclose([one["box"] for one in found], expected.boxes, atol=0.1)
        np.testing.assert_allclose([one["score"] for one in found], expected.scores, atol=1e-3)

        assert post(url, b"no image") == (
            400,
            {"detail": "upload: expected an image, got 8 bytes that cannot be decoded"},
        )
        status, answer = post(url, bytes(17_000_000))
        assert status == 413 and answer == {"detail": "expected at most 16000000 bytes"}


def test_the_request_to_tensorflow_serving_fits_the_signature_and_gives_what_the_detector_gives(tmp_path):
    import tensorflow as tf

    from yolo3.export.export import export
    from yolo3.export.settings import ExportSettings

    export(cells(), tmp_path / "model", ExportSettings(format="saved_model", suppression="greedy"))
    write_image(tmp_path / "red.png", sample_image())
    client: dict = {}
    exec(CLIENT, client)

    # as the server does: tensors of the signature's names and types from JSON, outputs by name to JSON
    request = json.loads(client["request_of"](str(tmp_path / "red.png")))
    model = tf.saved_model.load(str(tmp_path / "model"))
    signature = model.signatures[request["signature_name"]]
    wanted = signature.structured_input_signature[1]
    assert set(request["inputs"]) == set(wanted)
    inputs = {name: tf.constant(value, wanted[name].dtype) for name, value in request["inputs"].items()}
    outputs = json.loads(json.dumps({name: value.numpy().tolist() for name, value in signature(**inputs).items()}))

    expected = cells()(sample_image())
    assert outputs["count"] == len(expected) > 0
    np.testing.assert_allclose(outputs["boxes"][: outputs["count"]], expected.boxes, atol=1e-3)
    assert outputs["class_ids"][: outputs["count"]] == expected.class_ids.tolist()


def test_servers_that_copied_an_earlier_page_find_the_limit_of_pixels_where_it_was():
    from yolo3.datasets import images, pixel_limit

    assert images.limit_pixels is pixel_limit.limit_pixels
