"""``yolo3 demo`` as its user has it: the command, and its page in a real browser."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.inference.test_detector import METADATA, cell_network
from yolo3.cli import demo
from yolo3.cli.main import main
from yolo3.datasets.images import write_image
from yolo3.inference import demo_page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
# The command, in a process that names every host but its own that it asks for.
PROGRAM = """
import sys
def watch(event, arguments):
    if event == "socket.getaddrinfo" and arguments[0] not in ("127.0.0.1", "localhost", None):
        print("asked for", arguments[0], flush=True)
    if event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][0] not in ("127.0.0.1", "::1"):
        print("connected to", arguments[1], flush=True)
sys.addaudithook(watch)
from yolo3.cli.main import main
sys.exit(main(["demo", *sys.argv[1:]]))
"""


def test_a_missing_gradio_is_one_line_before_the_network_is_loaded(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo_page, "find_spec", lambda name: None)
    assert main(["demo", "--weights", str(tmp_path / "absent.onnx")]) == 1
    expected = "yolo3 demo: the page needs gradio, which is not installed: pip install 'yolo3[demo]'\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("port", ["0", "65536", "x"])
def test_a_port_out_of_range_is_refused(port, capsys):
    with pytest.raises(SystemExit) as end:
        demo.build_parser().parse_args(["--weights", "m.h5", "--port", port])
    assert end.value.code == 2 and f"expected a port from 1 to 65535, got {port}" in capsys.readouterr().err


@pytest.mark.slow
def test_a_port_that_is_taken_is_one_line(weights):
    pytest.importorskip("gradio", reason="needs gradio: pip install '.[demo]'")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-c", PROGRAM, "--weights", weights, "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=120)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == f"yolo3 demo: port {port} is taken; give another port, or none\n"


@contextmanager
def running(*options):
    """Give the address of the page while the command runs; it ends by SIGTERM with status 0."""
    command = [sys.executable, "-c", PROGRAM, *map(str, options)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT)
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if address := re.search(r"open (http://127\.0\.0\.1:\d+/) in a browser", line):
                yield address[1]
                break
        else:
            pytest.fail("".join(said))
        process.send_signal(signal.SIGTERM)
        said.append(process.communicate(timeout=60)[0])
        assert process.returncode == 0, said
        assert not re.findall("asked for|connected to|Traceback", "".join(said)), said
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def browser_page(address, asked):
    """Give the page in a browser; what the browser asks for is added to `asked`."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install '.[test]'")
    with playwright.sync_playwright() as start:
        browser = start.chromium.launch(executable_path=BROWSER, args=FLAGS)
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.set_default_timeout(60_000)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        page.wait_for_selector("input[type=file]", state="attached")
        yield page
        browser.close()


def set_slider(page, name, value):
    """Type a value beside a slider."""
    box = page.locator(f"#{name} input[type=number]")
    box.fill(str(value))
    box.press("Enter")


def shown(page, words):
    """Wait for words beside the photograph; return the image with boxes that is shown then."""
    page.wait_for_function(f"() => document.querySelector('#words').innerText.includes({words!r})")
    page.wait_for_function("() => document.querySelector('#drawn img')?.complete")
    page.wait_for_timeout(500)
    body = page.request.get(page.get_attribute("#drawn img", "src")).body()
    return cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR_RGB).astype(int)


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium or google-chrome is installed")
@pytest.mark.parametrize("kind", ["m.h5", "m.onnx"])
def test_a_browser_shows_boxes_that_follow_the_thresholds(kind, tmp_path):
    pytest.importorskip("gradio", reason="needs gradio: pip install '.[demo]'")
    pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install '.[test]'")
    weights, photograph = tmp_path / kind, tmp_path / "photograph.png"
    from tests.export.networks import need
    from yolo3.models.saving import save_model

    network = cell_network(always=0.0)  # "any" scores .5 in every cell
    if kind == "m.h5":
        save_model(network, weights, METADATA)
    else:
        need("onnx")
        from yolo3.export.export import export
        from yolo3.export.settings import ExportSettings
        from yolo3.inference.detector import Detector

        export(Detector(network, METADATA), weights, ExportSettings(format="onnx"))
    image = np.zeros((320, 320, 3), np.uint8)  # 2 x 2 cells of 160 pixels, the upper left one red
    image[:160, :160, 0] = 255
    write_image(photograph, image)
    (tmp_path / "bad.jpg").write_text("no image")

    asked: list[str] = []
    with running("--weights", weights) as address, browser_page(address, asked) as page:
        assert "default-src 'self'" in page.request.get(address).headers["content-security-policy"]
        page.set_input_files("input[type=file]", photograph)
        five = shown(page, "5 objects in 320 x 320 pixels")  # a red one, four of any class
        assert page.inner_text("#table").count("red") == 1 and page.inner_text("#table").count("0.50") == 4

        set_slider(page, "score", 0.6)
        one = shown(page, "1 object in")
        assert abs(one[200:, 200:] - image[200:, 200:]).max() < 60  # the box of the lower right cell is gone
        assert abs(five[200:, 200:] - image[200:, 200:]).max() > 100
        assert page.inner_text("#table").count("red") == 1 and "0.50" not in page.inner_text("#table")

        page.locator("#photograph button[aria-label='Remove Image']").click()
        page.wait_for_function("() => document.querySelector('#words').innerText === ''")
        page.set_input_files("input[type=file]", tmp_path / "bad.jpg")
        page.wait_for_function("() => document.querySelector('#words').innerText.includes('cannot be used')")
        assert "expected an image, got 8 bytes that cannot be decoded" in page.inner_text("#words")
    assert asked and [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
