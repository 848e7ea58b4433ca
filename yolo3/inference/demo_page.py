"""The page of ``yolo3 demo``: a photograph, the thresholds, and what the network finds; made with Gradio.

It asks nothing of other machines: no analytics, no fonts or scripts from elsewhere (a content security policy holds the
browser to it).
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np

from yolo3.detections import Detections
from yolo3.inference.candidates import Candidates
from yolo3.inference.detector import Detector
from yolo3.visualize.boxes import draw_boxes

MAX_UPLOAD = 64_000_000  # bytes of a file
_SHOWN_SIDE = 1600  # pixels: larger photographs are drawn smaller
_KEPT = 3600  # seconds that an uploaded file, and what was found in it, is kept
_COLUMNS = ["object", "score", "x_min", "y_min", "x_max", "y_max"]
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:"
)


class _Policy:
    """ASGI middleware that tells the browser to ask no other machine for anything."""

    def __init__(self, app):
        self._app = app

    async def __call__(self, scope, receive, send):
        async def send_with_policy(message):
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", _POLICY.encode())]
            await send(message)

        await self._app(scope, receive, send_with_policy)


def check_gradio() -> None:
    """Check that Gradio is installed, without importing it.

    Raises:
        ValueError: In one line that names the extra.
    """
    if find_spec("gradio") is None:
        raise ValueError("the page needs gradio, which is not installed: pip install 'yolo3[demo]'")


@contextmanager
def serve_page(detector: Detector, score_threshold: float, port: int | None = None) -> Iterator[str]:
    """Serve the page within a `with` block, on this machine alone.

    Args:
        detector: With the lowest score threshold that its network allows: the page has its own.
        score_threshold: Where the slider of the score starts.
        port: Port to listen on; None for the first free one from 7860 on.

    Yields:
        The address of the page.

    Raises:
        OSError: If the port is taken.
    """
    with tempfile.TemporaryDirectory(prefix="yolo3_demo_") as uploads:
        # Gradio reads them when it is imported or a page is built
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": uploads, "HF_HUB_OFFLINE": "1"}
        page = build_page(detector, score_threshold)
        from starlette.middleware import Middleware

        try:
            _, address, _ = page.launch(
                server_name="127.0.0.1",
                server_port=port,
                share=False,
                inbrowser=False,
                ssr_mode=False,
                quiet=True,
                prevent_thread_lock=True,
                max_file_size=MAX_UPLOAD,
                footer_links=[],
                app_kwargs={"middleware": [Middleware(_Policy)]},
            )
        except OSError as error:
            if port is None:
                raise
            raise OSError(f"port {port} is taken; give another port, or none") from error
        try:
            yield address
        finally:
            page.close(verbose=False)


class Answers:
    """What the page shows for a photograph and two thresholds.

    Args:
        detector: With the lowest score threshold that its network allows.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def look(self, path: str | None, score_threshold: float, iou_threshold: float) -> tuple:
        """Compute the network for a new photograph.

        Args:
            path: The file, or None when the photograph was taken away.
            score_threshold: Detections above it are shown.
            iou_threshold: IoU above which the weaker of two boxes goes.

        Returns:
            What :meth:`select` takes as `seen`, and what it returns.
        """
        if path is None:
            return None, None, [], ""
        start = time.perf_counter()
        try:
            candidates = self._detector.candidates(path)
        except (OSError, ValueError) as error:
            expected = str(error).removeprefix(f"{path}: ")  # the path is that of a copy
            return None, None, [], f"**This file cannot be used:** {expected}"
        seen = (candidates, time.perf_counter() - start)
        return seen, *self.select(seen, score_threshold, iou_threshold)

    def select(self, seen: tuple[Candidates, float] | None, score_threshold: float, iou_threshold: float) -> tuple:
        """Select detections anew; the network is not computed again.

        Returns:
            The image with its boxes, the rows of the table, and a line of Markdown.
        """
        if seen is None:
            return None, [], ""
        candidates, network_seconds = seen
        start = time.perf_counter()
        found = candidates.select(score_threshold, iou_threshold)
        seconds = time.perf_counter() - start

        height, width = candidates.image.shape[:2]
        number = f"{len(found)} object{'' if len(found) == 1 else 's'}"
        words = (
            f"**{number}** in {width} x {height} pixels. Reading and network {1000 * network_seconds:.0f} ms, "
            f"suppression {1000 * seconds:.1f} ms."
        )
        names = self._detector.class_names
        return draw_reduced(candidates.image, found, names), table_rows(found, names), words


def build_page(detector: Detector, score_threshold: float) -> Any:
    """Return the page, a `gradio.Blocks`; arguments as of :func:`serve_page`."""
    import gradio as gr

    answers = Answers(detector)
    with gr.Blocks(title="yolo3 demo", analytics_enabled=False, delete_cache=(_KEPT, _KEPT)) as page:
        gr.Markdown(f"# {os.path.basename(detector.source)}\n{_network_in_words(detector)}")
        with gr.Row():
            with gr.Column(scale=1):
                photograph, thresholds = _inputs(gr, detector, score_threshold)
                words = gr.Markdown(elem_id="words")
            with gr.Column(scale=2):
                image = gr.Image(
                    label="Detections",
                    format="jpeg",
                    interactive=False,
                    buttons=["download", "fullscreen"],
                    elem_id="drawn",
                )
                table = gr.Dataframe(
                    headers=_COLUMNS, interactive=False, label="Boxes in pixels of the photograph", elem_id="table"
                )

        seen = gr.State(time_to_live=_KEPT)
        shown = [image, table, words]
        photograph.change(
            answers.look, [photograph, *thresholds], [seen, *shown], concurrency_limit=1, api_visibility="private"
        )
        gr.on(
            [slider.input for slider in thresholds],
            answers.select,
            [seen, *thresholds],
            shown,
            show_progress="hidden",
            trigger_mode="always_last",
            api_visibility="private",
        )
    return page


def _inputs(gr: Any, detector: Detector, score_threshold: float) -> tuple[Any, list]:
    """Return (photograph, sliders of the score and of the overlap), of the Gradio module `gr`."""
    photograph = gr.Image(label="Photograph", sources=["upload", "clipboard"], height=300, elem_id="photograph")
    # handed over as the file it is: `read_image` reads more kinds of files than Gradio does
    photograph.preprocess = lambda payload: payload and payload.path
    score = gr.Slider(
        label="Score threshold",
        info="Detections above it are shown",
        minimum=detector.score_threshold,
        maximum=1,
        step=0.01,
        value=max(score_threshold, detector.score_threshold),
        elem_id="score",
    )
    within = detector.network.suppresses
    overlap = gr.Slider(
        label="NMS threshold",
        info="Fixed within the file" if within else "Overlap above which the weaker of two boxes goes",
        minimum=0,
        maximum=1,
        step=0.01,
        value=detector.iou_threshold,
        interactive=not within,
        elem_id="overlap",
    )
    return photograph, [score, overlap]


def _network_in_words(detector: Detector) -> str:
    height, width = detector.input_shape
    classes = len(detector.class_names)
    return (
        f"{detector.network.title}; {classes} class{'' if classes == 1 else 'es'}; "
        f"input {width} x {height} pixels ({detector.resize})"
    )


def draw_reduced(image: np.ndarray, found: Detections, class_names) -> np.ndarray:
    """Return the image with its boxes, at most 1600 pixels on its longer side."""
    shrink = min(1.0, _SHOWN_SIDE / max(image.shape[:2]))
    if shrink < 1:
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return draw_boxes(image, found.boxes * shrink, found.class_ids, class_names, found.scores)


def table_rows(found: Detections, class_names) -> list[list]:
    """Return a row of the table for each detection: name, score, corners in whole pixels."""
    corners = np.round(found.boxes).astype(int).tolist()
    names = [class_names[class_id] for class_id in found.class_ids]
    return [[name, f"{score:.2f}", *box] for name, score, box in zip(names, found.scores, corners, strict=True)]
