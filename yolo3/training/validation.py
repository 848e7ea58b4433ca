"""Validation during training: loss, detections and average precision on images without augmentation, in one pass."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from yolo3.datasets.annotation import Annotation
from yolo3.datasets.image_size import shape_of
from yolo3.detections import Detections
from yolo3.evaluation.measures import Measures, measure
from yolo3.evaluation.recall import recall_of_best
from yolo3.input.batches import validation_batches
from yolo3.input.epoch_plan import BatchPart
from yolo3.input.image_cache import spare_memory
from yolo3.models.loss import as_list, loss_row
from yolo3.models.rewriting import fold_batch_norm, is_functional, update_folded
from yolo3.ops.boxes import clip
from yolo3.ops.letterbox import boxes_to_image
from yolo3.ops.nms import non_max_suppression
from yolo3.ops.nms_methods import AP_SCORE_THRESHOLD, MAX_BOXES
from yolo3.precision import dtype_policy
from yolo3.training.replicas import gather_rows, own_replicas
from yolo3.training.step import Trainer


class Validator:
    """Run a trainer's inference network over the validation images.

    Args:
        trainer: Its settings say the size of the input and of the batches.
        annotations: The validation images and their boxes.
        class_names: In order of the class ids.
    """

    def __init__(self, trainer: Trainer, annotations: list[Annotation], class_names: list[str]):
        self.trainer, self.annotations, self.class_names = trainer, annotations, class_names
        self._input_shape, self._resize = trainer.config.input_size, trainer.config.resize
        self._own = own_replicas(trainer.strategy)
        self._forward = tf.function(self._forward_batches, reduce_retracing=True, autograph=False)

    @functools.cached_property
    def _batches(self) -> tf.data.Dataset:
        """The images and boxes; resized images are kept where those to train on may be in memory, and there is room."""
        config = self.trainer.config
        replicas = self.trainer.strategy.num_replicas_in_sync
        needed = 3 * math.prod(config.input_size) * len(self.annotations) * len(self._own) // replicas
        return validation_batches(
            self.annotations,
            batch_size=config.batch_size,
            input_shape=config.input_size,
            resize=config.resize,
            part=BatchPart(replicas, self._own[0], len(self._own)),
            keep=config.cache in ("auto", "memory") and needed <= spare_memory(),
        )

    @functools.cached_property
    def _network(self) -> keras.Model:
        """The inference network with batch normalization folded into the convolutions, where it can be rewritten."""
        network = self.trainer.inference_network
        if not is_functional(network):
            return network
        with self.trainer.strategy.scope(), dtype_policy("float32"):
            return fold_batch_norm(network)

    def _forward_batches(self, images, boxes):
        """Compute a batch on each replica."""
        return self.trainer.strategy.run(self._forward_batch, (images, boxes))

    def _forward_batch(self, images, boxes):
        trainer = self.trainer
        outputs = self._network(images, training=False)
        terms = trainer.batch_terms(outputs, self._input_shape, boxes)
        boxes, scores = trainer.architecture.decode(as_list(outputs), self._input_shape)  # [B, N, 4], [B, N, C]
        return terms, non_max_suppression(
            boxes,
            scores,
            score_threshold=AP_SCORE_THRESHOLD,
            iou_threshold=trainer.architecture.iou_threshold,
            max_boxes=MAX_BOXES,
        )

    def run(self, on_batch: Callable[[], None] = lambda: None) -> tuple[dict, list[Detections], Measures]:
        """Validate once.

        Args:
            on_batch: Is called before each batch; what it raises ends the validation.

        Returns:
            (row, detections, measures): for the log `val_loss` and its terms, `AP50`, `AP`, the `AP50_<class>` of each
            class, and for class-agnostic networks the `recall` of the best 100 boxes of each image at an IoU of
            0.5; the detections in each image, boxes in its pixels; the figures of the evaluation without those by size.
        """
        if self._network is not self.trainer.inference_network:
            update_folded(self._network, self.trainer.inference_network)
        strategy, architecture = self.trainer.strategy, self.trainer.architecture
        names = [name for term in architecture.terms for name in (term, f"{term}_floor")]
        sums, rows = [np.zeros((0, 1 + len(names)))], [np.zeros((0, 7))]
        for terms, found, indices in self._results(on_batch):
            values = [float(terms.get(name, 0.0)) * len(indices) for name in names]
            sums.append(np.array([[indices[0], *values]]))
            rows += self._rows_of_images(indices, *(part.numpy() for part in found))

        # Each process has computed its part; all of them know all results, as whether to go on depends on them.
        totals = gather_rows(strategy, np.concatenate(sums))[:, 1:].sum(0)
        detections = _detections(gather_rows(strategy, np.concatenate(rows)), len(self.annotations))
        means = dict(zip(names, (totals / len(self.annotations)).tolist()))
        row = loss_row(means, architecture.terms, prefix="val_")
        measures = measure(self.annotations, detections, self.class_names, by_size=False)
        results = measures.coco
        row |= {"AP50": results["AP50"], "AP": results["AP"]}
        row |= {f"AP50_{name}": part["AP50"] for name, part in results["per_class"].items()}
        if architecture.one_class:
            row["recall"] = recall_of_best(self.annotations, detections)
        return row, detections, measures

    def _results(self, on_batch: Callable[[], None]) -> Iterator[tuple]:
        """Yield (terms, detections, indices) of each batch of this process; replicas compute a whole batch each."""
        strategy, batches, here = self.trainer.strategy, iter(self._batches), len(self._own)
        while together := list(itertools.islice(batches, here)):
            on_batch()
            # where batches are fewer than replicas, some compute the last one for nothing
            spread = strategy.experimental_distribute_values_from_function
            images, boxes, _ = (_of_replica(column, here) for column in zip(*together))
            results = self._forward(spread(images), spread(boxes))
            of_each = [strategy.experimental_local_results(leaf) for leaf in tf.nest.flatten(results)]
            for leaves, (_, _, indices) in zip(zip(*of_each), together):
                yield *tf.nest.pack_sequence_as(results, leaves), indices.numpy()

    def _rows_of_images(self, indices, boxes, scores, class_ids, counts) -> Iterator[np.ndarray]:
        """Yield the detections in each image of a batch: [N, 7] place of the image, box in its pixels, score, class."""
        for place, index in enumerate(indices):
            num, shape = counts[place], shape_of(self.annotations[index])
            found = clip(boxes_to_image(boxes[place, :num], shape, self._input_shape, self._resize), shape)
            yield np.column_stack([np.full(num, float(index)), found, scores[place, :num], class_ids[place, :num]])


def _detections(rows: np.ndarray, num_images: int) -> list[Detections]:
    """Return the detections in each image, whose rows are as `Validator._rows_of_images` has them, in order."""
    starts = np.searchsorted(rows[:, 0], np.arange(num_images + 1))
    parts = (rows[start:stop] for start, stop in itertools.pairwise(starts))
    return [Detections(part[:, 1:5], part[:, 5], part[:, 6]) for part in parts]


def _of_replica(values: Sequence, here: int) -> Callable:
    """Return what gives each of the replicas here its value, and the last one to replicas without."""
    return lambda context: values[min(context.replica_id_in_sync_group % here, len(values) - 1)]
