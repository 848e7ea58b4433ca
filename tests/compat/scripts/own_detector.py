"""A subclass of YOLO with defaults of its own, that counts one class and draws with Pillow itself."""

import sys

from PIL import Image, ImageDraw

from yolo3.yolo import YOLO


class RedCounter(YOLO):
    _defaults = {
        "model_path": sys.argv[1],
        "anchors_path": "model_data/yolo_anchors.txt",
        "classes_path": "model_data/coco_classes.txt",
        "score": 0.3,
        "iou": 0.45,
        "gpu_num": 1,
    }

    def __init__(self, wanted="red", **kwargs):
        super().__init__(**kwargs)
        self.wanted = self.class_names.index(wanted)

    def detect_image(self, image):
        super().detect_image(image)
        picture = image.copy()
        draw = ImageDraw.Draw(picture)
        self.count = 0
        for (top, left, bottom, right), class_id in zip(self.boxes, self.classes):
            if class_id == self.wanted:
                self.count += 1
                draw.rectangle([left, top, right, bottom], outline=self.colors[class_id])
        draw.text((2, 2), f"{self.count} of {self.class_names[self.wanted]}", fill=(255, 255, 255))
        return picture


yolo = RedCounter(score=0.4)
counts = []
for name in sys.argv[2:]:
    yolo.detect_image(Image.open(name)).save("counted.png")
    counts.append(yolo.count)
yolo.close_session()
