"""The commands of the program `darknet`, and the commands of `yolo3` that do the same."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from yolo3.files import is_file, read_lines

# Flags with a value; any other word that begins with "-" stands alone (examples/detector.c, AlexeyAB's src/detector.c).
_VALUED = (
    "-thresh",
    "-hier",
    "-iou_thresh",
    "-points",
    "-i",
    "-gpus",
    "-c",
    "-s",
    "-out",
    "-out_filename",
    "-prefix",
    "-num_of_clusters",
    "-width",
    "-height",
    "-avgframes",
    "-ext_output_file",
    "-json_port",
    "-mjpeg_port",
    "-http_port",
    "-save_detections",
)


@dataclass(frozen=True)
class Call:
    """A call of `darknet detector`.

    Attributes:
        command: Its command, such as "test".
        files: The words that are no flags, in their order: data, cfg, weights, and what else the command takes.
        flags: The flags with their values; "" for a flag without.
    """

    command: str
    files: tuple[str, ...]
    flags: dict[str, str] = field(default_factory=dict)

    def file(self, place: int, stand_in: str) -> str:
        """Return a file by its place, or what stands for it where it was not given."""
        return self.files[place] if place < len(self.files) else stand_in

    @property
    def data(self) -> str:
        """Return the `.data` file."""
        return self.file(0, "DATA")

    @property
    def network(self) -> list[str]:
        """Return the options of a network."""
        return ["--cfg", self.file(1, "CFG"), "--weights", self.file(2, "WEIGHTS")]


@dataclass(frozen=True)
class Answer:
    """The command that does what a call of Darknet does.

    Attributes:
        command: Its words.
        notes: Sentences on what is different.
    """

    command: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([shlex.join(self.command), *self.notes])


def parse_call(words: Sequence[str]) -> Call:
    """Return the call that the words after `darknet detector` are."""
    command, *rest = words or [""]
    files, flags = [], {}
    while rest:
        word = rest.pop(0)
        if word in _VALUED and rest:
            flags[word] = rest.pop(0)
        elif len(word) > 1 and word.startswith("-"):
            flags[word] = ""
        else:
            files.append(word)
    return Call(command, tuple(files), flags)


def _detect(call: Call) -> Answer:
    """Answer `test` and `demo`: images, lists of images, videos and cameras."""
    inputs = list(call.files[3:])
    if not inputs:
        inputs = ["--camera", call.flags.get("-c", "0")] if call.command == "demo" else ["IMAGES"]
    words = ["yolo3", "detect", *call.network, *inputs, *_class_names(call.data)]
    if "-thresh" in call.flags:
        words += ["--score-threshold", call.flags["-thresh"]]
    if "-out" in call.flags:
        words += ["--json", call.flags["-out"]]
    if "-save_labels" in call.flags:
        words += ["--yolo-txt", "labels"]

    notes = []
    if "-ext_output" in call.flags:
        words += ["--csv", "detections.csv"]
        notes.append("-ext_output: --csv, --json and --coco write the coordinates of the boxes.")
    if "-letter_box" in call.flags:
        words += ["--resize", "letterbox"]
    if call.command == "demo" and "-dont_show" not in call.flags:
        words.append("--show")
    if any(name in call.flags for name in ("-out_filename", "-prefix")):
        notes.append("Videos with boxes are written to the folder of --output.")
    return Answer(tuple(words), tuple(notes))


def _class_names(data: str) -> list[str]:
    """Return the option of the class names that a `.data` file names; none where it cannot be read."""
    if not is_file(data):
        return []
    pairs = (line.partition("=") for line in read_lines(data))
    return next((["--classes", value.strip()] for key, _, value in pairs if key.strip() == "names"), [])


def _train(call: Call) -> Answer:
    words = ["yolo3", "train", "--cfg", call.file(1, "CFG")]
    if len(call.files) > 2:
        words += ["--weights", call.files[2]]
    words += ["--data", call.data, "--recipe", "darknet"]
    notes = ["The folder of the run (--output) takes the place of 'backup' in the data file; --resume goes on with it."]
    if "-map" in call.flags:
        notes.append("-map: average precision is computed during every training that has images to validate on.")
    if "-clear" in call.flags:
        notes.append("-clear: a run always starts with its first image, whatever the weights have seen.")
    if "," in call.flags.get("-gpus", ""):
        notes.append(f"-gpus: CUDA_VISIBLE_DEVICES={call.flags['-gpus']} before the command chooses the GPUs.")
    return Answer(tuple(words), tuple(notes))


def _evaluate(call: Call) -> Answer:
    """Answer `map`, `recall` and `valid`, which compare a network with the images of the list `valid`."""
    words = ["yolo3", "evaluate", *call.network, "--data", call.data, "--list", "valid", *_class_names(call.data)]
    notes = []
    if call.command == "map":
        words += ["--at-score", call.flags.get("-thresh", "0.25")]
        if "-iou_thresh" in call.flags:
            notes.append("-iou_thresh: AP50 counts boxes with an IoU of at least .5, AP the mean over .5 to .95.")
        if "-points" in call.flags:
            notes.append("-points: average precision is COCO's, over 101 points.")
    elif call.command == "valid":
        words += ["--save-detections", f"{call.flags.get('-out', 'coco_results')}.json"]
        notes.append("Detections are in COCO's form; 'yolo3 detect --coco FILE' writes them for images alone.")
    else:
        notes.append("Precision and recall are given at a score and at the best F1; --report FILE.html has the curves.")
    return Answer(tuple(words), tuple(notes))


def _anchors(call: Call) -> Answer:
    count = call.flags.get("-num_of_clusters", "9")
    words = ["yolo3", "anchors", "--data", call.data, "--num-anchors", count]
    if "-width" in call.flags or "-height" in call.flags:
        words += ["--input-size", call.flags.get("-height", "416"), call.flags.get("-width", "416")]
    return Answer((*words, "--output", "anchors.txt"))


def _partial(call: Call) -> Answer:
    """Answer `darknet partial CFG WEIGHTS OUT N`, which has no data file."""
    cfg, weights, out = (call.file(place, name) for place, name in enumerate(("CFG", "WEIGHTS", "OUT")))
    model = "network.h5"
    back = ("yolo3", "convert", "--to-darknet", "--upto", call.file(3, "N"), model, "network.cfg", out)
    return Answer(("yolo3", "convert", cfg, weights, model), (shlex.join(back),))


COMMANDS: dict[str, Callable[[Call], Answer]] = {
    "test": _detect,
    "demo": _detect,
    "train": _train,
    "map": _evaluate,
    "valid": _evaluate,
    "recall": _evaluate,
    "calc_anchors": _anchors,
    "partial": _partial,
}
"""The commands of `darknet detector`, and `darknet partial`, by name, each with what answers a call of it."""


def answer(argv: Sequence[str]) -> Answer | None:
    """Return the command that does what Darknet's does, `None` for words that are not Darknet's.

    Args:
        argv: The words after `yolo3`: those after `darknet`, or after one of our commands by mistake.

    Example:
        >>> print(answer(["detector", "test", "coco.data", "yolov3.cfg", "yolov3.weights", "dog.jpg"]))
        yolo3 detect --cfg yolov3.cfg --weights yolov3.weights dog.jpg
    """
    words = list(argv)
    if words[:1] == ["darknet"]:
        words = words[1:]
    if words[:1] == ["detector"] and words[1:2] and words[1] in COMMANDS:
        return COMMANDS[words[1]](parse_call(words[1:]))
    if words[:1] == ["partial"]:
        return _partial(parse_call(words))
    if words[:1] == ["detect"] and words[1:] and words[1].endswith(".cfg"):  # darknet detect CFG WEIGHTS IMAGE
        return _detect(parse_call(["test", "", *words[1:]]))
    if words[:1] == ["detector"]:
        return Answer(("yolo3", "--help"), (f"Commands of Darknet that have one here: {', '.join(COMMANDS)}.",))
    return None
