"""keras-yolo3's builders of networks, whose models also read and write keras-yolo3's files of weights."""

from yolo3.compat.weights import reads_old_weights
from yolo3.models.yolov3 import networks

yolo_body = reads_old_weights(networks.yolo_body)
tiny_yolo_body = reads_old_weights(networks.tiny_yolo_body)
spp_yolo_body = reads_old_weights(networks.spp_yolo_body)
