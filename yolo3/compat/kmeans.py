"""keras-yolo3's ``kmeans.py``: ``YOLO_Kmeans`` under its old name; ``yolo3 anchors`` does the same and says more."""

import os

import numpy as np

from yolo3.datasets.formats.keras_yolo3 import parse_line
from yolo3.datasets.image_size import image_size
from yolo3.files import read_lines
from yolo3.models.yolov3.anchor_clusters import cluster_anchors
from yolo3.models.yolov3.anchors import write_anchors
from yolo3.ops.boxes import shape_iou
from yolo3.ops.letterbox import boxes_to_network


class YOLO_Kmeans:
    """Cluster the sizes of the boxes of an annotation file into anchors.

    Args:
        cluster_number: Number of anchors.
        filename: File of lines ``path x_min,y_min,x_max,y_max,class_id ...``; paths start in the current folder, as in
            keras-yolo3, or in that of the file.
        input_shape: (height, width) of the network input, in whose pixels the anchors are. keras-yolo3 took pixels of
            the images.

    Example:
        ``YOLO_Kmeans(9, "train.txt").txt2clusters()`` writes ``yolo_anchors.txt``.
    """

    def __init__(self, cluster_number, filename, input_shape=(416, 416)):
        self.cluster_number = cluster_number
        self.filename = filename
        self.input_shape = input_shape

    def iou(self, boxes, clusters):
        """Return the IoU [N, A] of sizes [N, 2] and clusters [A, 2] with a common centre."""
        return shape_iou(np.asarray(boxes, np.float64), np.asarray(clusters, np.float64))

    def avg_iou(self, boxes, clusters):
        """Return the mean over the sizes [N, 2] of the IoU with the best of the clusters [A, 2]."""
        return float(self.iou(boxes, clusters).max(axis=1).mean())

    def kmeans(self, boxes, k, dist=np.median):
        """Return ``k`` clusters, float [k, 2] sorted by area, of sizes [N, 2].

        Args:
            boxes: Sizes [N, 2] (w, h).
            k: Number of clusters.
            dist: Without effect: medians and means are tried, and the better clusters are kept.

        Raises:
            ValueError: For fewer distinct sizes than clusters.
        """
        return cluster_anchors(boxes, k)

    def txt2boxes(self):
        """Return the sizes of all boxes with an area, float [N, 2] (w, h) in pixels of the network input.

        Raises:
            OSError: For files that cannot be read.
            ValueError: For a line that cannot be read.
        """
        sizes = [np.zeros((0, 2))]
        for number, line in enumerate(read_lines(os.path.expanduser(self.filename)), 1):
            parsed = parse_line(line)
            if parsed is None or not (parsed.boxes or parsed.faults):
                continue
            if parsed.faults:
                raise ValueError(f"{self.filename}:{number}: {'; '.join(parsed.faults)}")
            corners = np.array([box.xyxy for box in parsed.boxes])
            beside = os.path.join(os.path.dirname(os.path.expanduser(self.filename)), parsed.path)
            image = parsed.path if os.path.exists(parsed.path) else beside
            boxes = boxes_to_network(corners, image_size(image), self.input_shape)
            sizes.append(boxes[:, 2:] - boxes[:, :2])
        joined = np.concatenate(sizes)
        return joined[(joined > 0).all(axis=1)]

    def result2txt(self, data):
        """Write anchors [A, 2] to ``yolo_anchors.txt`` in the current folder, as whole numbers."""
        write_anchors("yolo_anchors.txt", np.maximum(np.rint(data), 1))

    def txt2clusters(self):
        """Cluster the boxes of the file, write the anchors, and print them with their average IoU."""
        boxes = self.txt2boxes()
        clusters = self.kmeans(boxes, k=self.cluster_number)
        self.result2txt(clusters)
        print(f"K anchors:\n {clusters}")
        print(f"Accuracy: {self.avg_iou(boxes, clusters) * 100:.2f}%")
