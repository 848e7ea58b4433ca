"""A web server as tutorials had it with Flask: one YOLO, and ``detect_image`` in the thread of each request."""

import io
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image

from yolo3.yolo import YOLO

yolo = YOLO(model_path=sys.argv[1])


class Detect(BaseHTTPRequestHandler):
    def do_POST(self):
        image = Image.open(io.BytesIO(self.rfile.read(int(self.headers["Content-Length"]))))
        drawn = io.BytesIO()
        yolo.detect_image(image).save(drawn, "PNG")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(drawn.getvalue())

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Detect)
