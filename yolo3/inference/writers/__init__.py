"""Writers of detections, one format per file: JSON, CSV, COCO results, YOLO text, crops, images and videos with boxes.

Each is a :class:`yolo3.inference.writers.writer.Writer`. They may import the rest of `inference` except the detector.
"""
