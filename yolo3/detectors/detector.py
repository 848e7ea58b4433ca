"""A detector as a Keras model: called for raw outputs, trained by ``fit`` on boxes, ``predict`` for detections."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from yolo3.arguments import Arguments
from yolo3.darknet.cfg import read_cfg
from yolo3.detectors.backbone import backbone_of
from yolo3.detectors.ground_truth import check_labels, from_corners, to_rows
from yolo3.detectors.recipe import DefaultRecipe, default_optimizer
from yolo3.models.architecture import Architecture, check_input_shape, default_input_shape
from yolo3.models.loss import as_list, batch_terms, loss_row
from yolo3.models.metadata import format_metadata, is_keras_file
from yolo3.models.published import PUBLISHED, find_network, is_published_name
from yolo3.models.registry import architecture_from_metadata, architecture_of_cfg, named_architecture
from yolo3.models.saving import save_model
from yolo3.models.yolov3.loss_options import LossOptions, stored_options
from yolo3.ops import boxes as geometry
from yolo3.ops.box_formats import NO_OBJECT, check_format
from yolo3.ops.nms import non_max_suppression
from yolo3.ops.nms_methods import AP_SCORE_THRESHOLD, MAX_BOXES, SHOWN_SCORE
from yolo3.precision import dtype_policy
from yolo3.records import build_record
from yolo3.training.optimizers import num_replicas
from yolo3.training.pretrained import load_what_fits

_OWN = ("cfg", "weights", "anchors", "class_names")
_ARGUMENTS = Arguments("KerasDetector", (), own=_OWN, names={"classes": "class_names", "model": "preset"}, valued=_OWN)


@keras.saving.register_keras_serializable(package="yolo3")
class KerasDetector(keras.Model):
    """A detector of any architecture as a Keras model.

    Called with images it returns its raw outputs. It is trained on ``(images, {"boxes", "labels"})``, and ``predict``
    returns detections. Images are RGB: float32 0..1, or integers 0..255. It is a functional model of stock layers, so
    ``summary``, ``get_layer`` and ``layers`` show the network. Usually made by :meth:`from_preset` or
    :meth:`from_darknet`.

    Args:
        architecture: What the network is and what its outputs mean; see :mod:`yolo3.models.architecture`.
        class_names: Name of each class; by default "0", "1", ...
        input_size: (height, width) of the network input in pixels, multiples of the network's largest stride; ``None``
            leaves the sides open, for a network that takes any size.
        bounding_box_format: Format of the boxes that ``fit`` takes and ``predict`` returns, one of those of
            ``keras.utils.bounding_boxes.convert_format``; pixels are those of the network input.
        score_threshold: Least confidence of the detections that ``predict`` returns.
        iou_threshold: IoU above which non-maximum suppression drops the weaker of two boxes of a class; by default the
            architecture's.
        max_boxes: Maximum number of detections in an image.
        name: Of the model.
        dtype: Policy of the layers, such as "mixed_bfloat16"; by default Keras' global one. The loss is float32.
        trainable: Whether the weights are trainable.

    Raises:
        ValueError: For parts that do not fit each other.

    Example:
        >>> detector = yolo3.YoloV3Detector.from_preset("yolov3-tiny", num_classes=3, weights="yolov3-tiny.h5")
        >>> detector.compile()
        >>> detector.fit(dataset, epochs=20)  # of (images, {"boxes": [B, T, 4], "labels": [B, T]})
        >>> found = detector.predict(images)  # {"boxes", "confidence", "labels", "num_detections"}
    """

    architecture_name: ClassVar[str | None] = None
    """Name of the only class of architectures that this class takes; ``None`` for any."""

    def __init__(
        self,
        architecture: Architecture,
        *,
        class_names: Sequence[str] | None = None,
        input_size: Sequence[int] | None = None,
        bounding_box_format: str = "xyxy",
        score_threshold: float = SHOWN_SCORE,
        iou_threshold: float | None = None,
        max_boxes: int = MAX_BOXES,
        name: str | None = None,
        dtype: Any = None,
        trainable: bool = True,
    ):
        if self.architecture_name not in (None, type(architecture).__name__):
            raise ValueError(
                f"{type(self).__name__}: expected a network of {self.architecture_name}, got {architecture.name!r}; "
                "KerasDetector takes any"
            )
        names = [str(index) for index in range(architecture.num_classes)] if class_names is None else [*class_names]
        if len(names) != architecture.num_classes:
            raise ValueError(f"class_names: expected {architecture.num_classes} names, got {len(names)}")
        if input_size is not None:
            input_size = check_input_shape(input_size, architecture.stride)
        elif architecture.fixed_size:
            input_size = default_input_shape(architecture.stride)

        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        with dtype_policy(policy.name):
            network = architecture.build_network((*(input_size or (None, None)), 3))
            super().__init__(
                inputs=network.inputs[0], outputs=network.outputs, name=name or network.name, trainable=trainable
            )
        self.architecture, self.class_names, self.input_size = architecture, tuple(names), input_size
        self.bounding_box_format = check_format(bounding_box_format)
        self.score_threshold, self.max_boxes = score_threshold, max_boxes
        self.iou_threshold = architecture.iou_threshold if iou_threshold is None else iou_threshold
        self._term_trackers = [keras.metrics.Mean(name=term) for term in architecture.terms]
        self._is_default = False  # whether it was compiled without an optimizer

    # Ways to make one

    @classmethod
    @_ARGUMENTS.in_messages()
    def from_preset(
        cls,
        preset: str,
        num_classes: int | None = None,
        weights: str | os.PathLike | None = None,
        *,
        class_names: Sequence[str] | None = None,
        anchors=None,
        anchor_mask: Sequence[Sequence[int]] | None = None,
        ignore_thresh: float | None = None,
        loss: LossOptions | None = None,
        options: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> KerasDetector:
        """Return a detector of a network by its name.

        Args:
            preset: A name of :data:`yolo3.models.registry.MODELS`: "yolov3", "yolov3-tiny", "yolov3-spp", ...
            num_classes: C; by default as many as ``class_names``.
            weights: Keras file whose layers of the same names are loaded: those of the same shapes whole, and of heads
                for other classes what was learned of boxes and of classes of the same name; or the name of a published
                network, :data:`yolo3.models.published.PUBLISHED`, whose files are fetched if they are not at hand.
                ``None`` for random ones.
            class_names: Name of each class.
            anchors: For YOLOv3: float [N, 2] (w, h) in pixels of the network input; by default the network's own.
            anchor_mask: For YOLOv3: indices of the anchors of each scale.
            ignore_thresh: For YOLOv3: IoU with a ground-truth box above which a prediction is no background.
            loss: For YOLOv3: how the loss departs from Darknet's.
            options: For other architectures: their fields that differ from the defaults.
            **arguments: Further arguments of the class.

        Raises:
            ValueError: For an unknown name, and for choices that do not fit the network.
            OSError: If the file cannot be read.
        """
        if num_classes is None and class_names is None:
            raise ValueError("num_classes: expected the number of classes, or class_names")
        if not isinstance(preset, str):
            raise ValueError(f"preset: expected the name of a network, got {type(preset).__name__}")
        files = None
        if weights is not None and is_published_name(weights):
            files = find_network(os.fspath(weights), fetch=True)
            published = PUBLISHED[os.fspath(weights)]
            if anchor_mask is None and anchors is None and published.model == preset:
                anchor_mask = published.anchor_mask
        architecture = named_architecture(
            preset,
            len(class_names or ()) if num_classes is None else num_classes,
            anchors=anchors,
            anchor_mask=anchor_mask,
            ignore_thresh=ignore_thresh,
            loss=loss or LossOptions(),
            options=options,
        )
        detector = cls(architecture, class_names=class_names, **arguments)
        if files is not None:
            load_what_fits(detector, architecture, files.weights, detector.class_names, files.cfg)
        elif weights is not None:
            if not is_keras_file(weights):
                raise ValueError(f"{weights}: expected a Keras file; for Darknet's use {cls.__name__}.from_darknet")
            load_what_fits(detector, architecture, os.fspath(weights), detector.class_names)
        return detector

    @classmethod
    @_ARGUMENTS.in_messages()
    def from_darknet(
        cls,
        cfg: str | os.PathLike,
        weights: str | os.PathLike | None = None,
        num_classes: int | None = None,
        *,
        anchors=None,
        ignore_thresh: float | None = None,
        loss: LossOptions | None = None,
        **arguments: Any,
    ) -> KerasDetector:
        """Return a detector of the network that a Darknet cfg describes.

        Args:
            cfg: Path of the cfg.
            weights: Path of its Darknet weights, whole or of the first layers, or of a Keras file; ``None`` for random
                weights.
            num_classes: Fits the heads, which start with random weights then, to another number of classes.
            anchors: As many as the cfg has, in place of them.
            ignore_thresh: In place of the cfg's.
            loss: For YOLOv3: how the loss departs from Darknet's.
            **arguments: Further arguments of the class.

        Raises:
            ValueError: With the file, for what cannot be read or does not fit.
            OSError: If a file cannot be read.
        """
        description = read_cfg(os.fspath(cfg))
        architecture = architecture_of_cfg(
            description, num_classes, anchors=anchors, ignore_thresh=ignore_thresh, loss=loss or LossOptions()
        )
        if architecture.fixed_size and "input_size" not in arguments:
            arguments["input_size"] = description.input_shape[:2]
        detector = cls(architecture, **arguments)
        if weights is not None:
            load_what_fits(detector, architecture, os.fspath(weights), detector.class_names, os.fspath(cfg))
        return detector

    # What it is made of

    @property
    def backbone(self) -> keras.Model:
        """The layers that pretrained files share, as a model of the same weights.

        ``detector.backbone.trainable = False`` before ``compile`` freezes them.
        """
        return backbone_of(self, self.architecture.backbone_layers(self))

    @property
    def metadata(self) -> dict:
        """What files of this network say about it; see :mod:`yolo3.models.saving`."""
        known = {**self.architecture.metadata(), "class_names": self.class_names}
        return json.loads(format_metadata(known | ({"input_shape": self.input_size} if self.input_size else {})))

    def call(self, inputs, training=None, mask=None, **kwargs):
        """Return the list of raw outputs for images [B, H, W, 3], float 0..1 or integers 0..255."""
        if not keras.backend.is_float_dtype(keras.backend.standardize_dtype(inputs.dtype)):
            inputs = ops.cast(inputs, self.compute_dtype) / 255
        return super().call(inputs, training=training, mask=mask, **kwargs)

    # Training

    def compile(
        self,
        optimizer: Any = "auto",
        *,
        jit_compile: bool | str = "auto",
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        auto_scale_loss: bool = True,
    ) -> None:
        """Make the detector ready for training and evaluation; the loss is the architecture's.

        Args:
            optimizer: A Keras optimizer or its name. "auto" is that of ``yolo3 train``: Adam with a warm-up, then a
                cosine over the length of ``fit``, weight decay of the kernels, and averaged weights. Each ``fit`` that
                begins with epoch 0 is then a run of its own.
            jit_compile: Whether steps are compiled by XLA; "auto" leaves that to JAX, and compiles nothing on
                TensorFlow and PyTorch.
            run_eagerly: Whether steps run operation by operation.
            steps_per_execution: Steps of one call of the compiled function.
            auto_scale_loss: Whether the loss is scaled under the policy "mixed_float16".
        """
        self._is_default, self._jit_choice = optimizer == "auto", jit_compile
        self._options = {"run_eagerly": run_eagerly, "steps_per_execution": steps_per_execution}
        self._options |= {"auto_scale_loss": auto_scale_loss}
        if jit_compile == "auto" and keras.backend.backend() != "jax":
            jit_compile = False
        super().compile(
            optimizer=default_optimizer(precision=self._optimizer_precision) if self._is_default else optimizer,
            jit_compile=jit_compile,
            **self._options,
        )

    @property
    def _optimizer_precision(self) -> str:
        return "float16" if self.dtype_policy.name == "mixed_float16" else "float32"

    def fit(self, x=None, y=None, *args, initial_epoch: int = 0, callbacks: Any = None, **kwargs):
        """Train as ``keras.Model.fit`` does, on data of (images, {"boxes", "labels"}).

        Data is what Keras takes: arrays, a ``tf.data.Dataset``, a ``keras.utils.PyDataset``, a PyTorch ``DataLoader``,
        a generator. Boxes are dense [B, T, 4], padded in any way with the label -1; on TensorFlow also ragged.

        Returns:
            Keras' history, with "loss" and each term of the loss by its name.

        Raises:
            ValueError: For labels, given as an array, that are no class. In other data they have no class to learn.
        """
        if isinstance(y, dict) and isinstance(y.get("labels"), np.ndarray):
            check_labels(y["labels"], self.architecture.num_classes)
        if self._is_default and initial_epoch == 0:
            callbacks = [] if callbacks is None else callbacks
            recipe = DefaultRecipe(self._optimizer_precision)
            if isinstance(callbacks, keras.callbacks.CallbackList):
                callbacks.append(recipe)
            else:
                callbacks = [recipe, *(callbacks if isinstance(callbacks, (list, tuple)) else [callbacks])]
        history = super().fit(x, y, *args, initial_epoch=initial_epoch, callbacks=callbacks, **kwargs)
        if keras.backend.backend() == "jax":
            # Averaged weights became the weights as the same arrays, which `evaluate` gives away to be overwritten.
            for variable in self.optimizer.variables:
                variable.assign(ops.copy(variable.value))
        return history

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the loss of a batch, the mean over its images, float32; targets are built in the graph.

        Args:
            x: Images [B, H, W, 3].
            y: ``{"boxes": [B, T, 4], "labels": [B, T]}``; see :func:`yolo3.detectors.ground_truth.dense`.
            y_pred: Raw outputs.
            sample_weight: Has to be ``None``.
            training: Not used.

        Raises:
            ValueError: For ground truth of another form, weights of samples, and images without a known size.
        """
        if sample_weight is not None:
            raise ValueError("sample_weight: expected none; the loss of a detector is a mean over the images")
        input_shape = tuple(x.shape[1:3])
        if None in input_shape:
            raise ValueError(
                f"images: expected a known height and width, got the shape {list(x.shape)}; resize them to one size, "
                "and state it with tf.ensure_shape"
            )
        rows = to_rows(y, self.bounding_box_format, check_input_shape(input_shape, self.architecture.stride))
        terms = batch_terms(self.architecture, y_pred, rows, input_shape)

        row = loss_row(terms, self.architecture.terms)
        for tracker in self._term_trackers:
            tracker.update_state(row[tracker.name], sample_weight=ops.shape(x)[0])
        loss = row["loss"] + sum(self.losses)
        return loss / num_replicas()

    # Detections

    def predict_step(self, *args):
        """Return the decoded, suppressed detections of a batch; on JAX together with the state."""
        outputs, *state = (
            super().predict_step(*args) if keras.backend.backend() == "jax" else (super().predict_step(*args),)
        )
        found = self.decode(outputs, self._size_of(args[-1]))
        return (found, *state) if state else found

    def _size_of(self, batch) -> tuple[int, int]:
        images, *_ = batch if isinstance(batch, (list, tuple)) else (batch,)
        return tuple(images.shape[1:3])

    def decode(self, outputs, input_shape: tuple[int, int]) -> dict:
        """Return the detections in raw outputs, those of low confidence included, after non-maximum suppression.

        Args:
            outputs: As a call returns them.
            input_shape: (height, width) of the network input in pixels.

        Returns:
            ``boxes`` float32 [B, M, 4] in the detector's format, clipped to the image, ``confidence`` float32 [B, M] by
            falling confidence, ``labels`` int32 [B, M] and ``num_detections`` int32 [B]; M is ``max_boxes``. Rows
            beyond the number of detections have the label -1.
        """
        boxes, scores = self.architecture.decode(as_list(outputs), input_shape)  # [B, N, 4], [B, N, C]
        boxes, scores, labels, counts = non_max_suppression(
            boxes,
            scores,
            score_threshold=AP_SCORE_THRESHOLD,
            iou_threshold=self.iou_threshold,
            max_boxes=self.max_boxes,
        )
        boxes = from_corners(geometry.clip(boxes, input_shape), self.bounding_box_format, input_shape)
        return {"boxes": boxes, "confidence": scores, "labels": labels, "num_detections": counts}

    def predict(self, x, *args, score_threshold: float | None = None, **kwargs) -> dict:
        """Return the detections in images, as NumPy arrays.

        Args:
            x: Images [N, H, W, 3], or data of batches of them.
            *args: As of ``keras.Model.predict``.
            score_threshold: Least confidence, by default the detector's.
            **kwargs: As of ``keras.Model.predict``.

        Returns:
            The dict of :meth:`decode`, without detections below the threshold.
        """
        return self._above(super().predict(x, *args, **kwargs), score_threshold)

    def predict_on_batch(self, x, score_threshold: float | None = None) -> dict:
        """Return :meth:`predict` of one batch of images."""
        return self._above(super().predict_on_batch(x), score_threshold)

    def _above(self, found: dict, score_threshold: float | None) -> dict:
        """Blank the detections below a threshold: greedy suppression keeps the same ones above it."""
        threshold = self.score_threshold if score_threshold is None else score_threshold
        found = {name: np.asarray(ops.convert_to_numpy(value)) for name, value in found.items()}
        kept = (found["labels"] != NO_OBJECT) & (found["confidence"] > threshold)  # [N, M]
        return {
            "boxes": np.where(kept[..., None], found["boxes"], 0),
            "confidence": np.where(kept, found["confidence"], 0),
            "labels": np.where(kept, found["labels"], NO_OBJECT),
            "num_detections": kept.sum(-1).astype(np.int32),
        }

    # Files

    def save(self, filepath: str | os.PathLike, *args, **kwargs) -> None:
        """Write the detector to a ``.keras`` file, with how it was compiled, or its network alone to an ``.h5`` file.

        After ``from yolo3 import YoloV3Detector``, ``keras.models.load_model`` reads the first; plain Keras reads the
        second, as :meth:`save_network` says. The commands and :class:`yolo3.Detector` read both.
        """
        if os.fspath(filepath).endswith(".h5"):
            self.save_network(filepath)
        else:
            super().save(filepath, *args, **kwargs)

    def save_network(self, path: str | os.PathLike) -> None:
        """Write the network alone, with its metadata, to a file of stock layers that plain Keras opens without yolo3.

        Args:
            path: Ends in ``.h5``, ``.keras`` or ``.weights.h5``; see :mod:`yolo3.models.saving`.
        """
        save_model(keras.Model(self.inputs[0], self.outputs, name=self.name), path, self.metadata)

    def get_config(self) -> dict:
        """Return what :meth:`from_config` needs to build the detector again, with random weights."""
        loss = getattr(self.architecture, "loss", None)
        return {
            "metadata": self.metadata,
            "loss": json.loads(json.dumps(dataclasses.asdict(loss))) if isinstance(loss, LossOptions) else None,
            "input_size": None if self.input_size is None else list(self.input_size),
            "bounding_box_format": self.bounding_box_format,
            "score_threshold": self.score_threshold,
            "iou_threshold": self.iou_threshold,
            "max_boxes": self.max_boxes,
            "name": self.name,
            "trainable": self.trainable,
            "dtype": self.dtype_policy.name,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects=None) -> KerasDetector:
        """Return the detector that :meth:`get_config` describes."""
        config = {**config}
        metadata, loss = config.pop("metadata"), config.pop("loss", None)
        architecture: Any = architecture_from_metadata(metadata)
        if loss is not None:
            architecture = dataclasses.replace(architecture, loss=build_record(LossOptions, stored_options(loss)))
        return cls(architecture, class_names=metadata["class_names"], **config)

    def get_compile_config(self) -> dict:
        """Return how the detector was compiled."""
        if not self.compiled:
            return {}
        choices = {"is_default": self._is_default, "jit_compile": self._jit_choice, **self._options}
        return keras.saving.serialize_keras_object({"optimizer": self.optimizer, **choices})

    def compile_from_config(self, config: dict) -> None:
        """Compile the detector as :meth:`get_compile_config` says."""
        config = keras.saving.deserialize_keras_object(config)
        is_default = config.pop("is_default")
        self.compile(**config)
        self._is_default = is_default
        self.optimizer.build(self.trainable_variables)
