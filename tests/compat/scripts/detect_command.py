"""A command line after keras-yolo3's yolo_video.py: its options, a loop over images, or a video."""

import argparse

from PIL import Image

from yolo3.yolo import YOLO, detect_video


def detect_img(yolo):
    while True:
        name = input("Input image filename:")
        if not name:
            break
        try:
            image = Image.open(name)
        except OSError:
            print("Open Error! Try again!")
            continue
        yolo.detect_image(image).save("result.png")
        print(len(yolo.boxes), "found")
    yolo.close_session()


parser = argparse.ArgumentParser(argument_default=argparse.SUPPRESS)
parser.add_argument("--model", type=str, help="path to model weight file, default " + YOLO.get_defaults("model_path"))
parser.add_argument("--anchors", type=str, help="path to anchors, default " + YOLO.get_defaults("anchors_path"))
parser.add_argument("--classes", type=str, help="path to classes, default " + YOLO.get_defaults("classes_path"))
parser.add_argument("--gpu_num", type=int, help="number of GPUs, default " + str(YOLO.get_defaults("gpu_num")))
parser.add_argument("--image", default=False, action="store_true", help="detect images")
parser.add_argument("--input", nargs="?", type=str, default="./path2your_video", help="video to read")
parser.add_argument("--output", nargs="?", type=str, default="", help="video to write")
FLAGS = parser.parse_args()

if FLAGS.image:
    detect_img(YOLO(**vars(FLAGS)))
else:
    detect_video(YOLO(**vars(FLAGS)), FLAGS.input, FLAGS.output)
