"""Re-export what code written for keras-yolo3 imports from ``yolo3.model``, under the same names.

``docs/conventions.md`` says where the results differ, and why. Nothing inside the package imports this module.
"""

from yolo3.compat.bodies import spp_yolo_body, tiny_yolo_body, yolo_body
from yolo3.compat.layers import DarknetConv2D, DarknetConv2D_BN_Leaky, darknet_body, make_last_layers, resblock_body
from yolo3.compat.symbolic import yolo_boxes_and_scores, yolo_correct_boxes, yolo_eval, yolo_head, yolo_loss
from yolo3.models.yolov3.targets import preprocess_true_boxes
from yolo3.ops.boxes import box_iou

__all__ = [
    "DarknetConv2D",
    "DarknetConv2D_BN_Leaky",
    "box_iou",
    "darknet_body",
    "make_last_layers",
    "preprocess_true_boxes",
    "resblock_body",
    "spp_yolo_body",
    "tiny_yolo_body",
    "yolo_body",
    "yolo_boxes_and_scores",
    "yolo_correct_boxes",
    "yolo_eval",
    "yolo_head",
    "yolo_loss",
]
