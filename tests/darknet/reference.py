"""Darknet's forward pass in plain NumPy, written from its C sources and independent of the package.

It reads cfg text and the numbers of a weight file by itself, computes in float64 on arrays [channels, height, width],
and keeps the output of each layer, for the tests to compare with.
"""

from __future__ import annotations

import numpy as np


def read_sections(text: str) -> list[tuple[str, dict[str, str]]]:
    """Return [(name, {key: value})] of a cfg without surprises."""
    sections = []
    for line in text.splitlines():
        line = line.replace(" ", "").split("#")[0]
        if line.startswith("["):
            sections.append((line[1:-1], {}))
        elif line:
            key, value = line.split("=")
            sections[-1][1].setdefault(key, value)
    return sections


def forward(text: str, floats: np.ndarray, image: np.ndarray) -> list[np.ndarray]:
    """Return the outputs of all layers, [C, H, W] or [N], for one image [C, H, W].

    `floats` are the numbers of the weight file after its header; all of them must be used.
    """
    outputs: list[np.ndarray] = []
    numbers = _Numbers(floats)
    x = image.astype(np.float64)
    for index, (name, options) in enumerate(read_sections(text)[1:]):
        x = _LAYERS[name](x, options, numbers, outputs, index)
        outputs.append(x)
    assert numbers.place == len(floats), f"{len(floats) - numbers.place} numbers left"
    return outputs


def raw_outputs(text: str, outputs: list[np.ndarray]) -> list[np.ndarray]:
    """Return the outputs before each [yolo] and [detection]."""
    names = [name for name, _ in read_sections(text)[1:]]
    return [outputs[index - 1] for index, name in enumerate(names) if name in ("yolo", "detection")]


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize float32 [H, W, 3] as `image.c:resize_image`: linear, corners aligned, first across, then down."""
    return _resize_rows(_resize_rows(image.transpose(1, 0, 2), width).transpose(1, 0, 2), height)


def letterbox(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Letterbox float32 [H, W, 3] in 0..1 as `image.c:letterbox_image`."""
    rows, columns = image.shape[:2]
    if width * rows < height * columns:
        new_width, new_height = width, rows * width // columns
    else:
        new_width, new_height = columns * height // rows, height
    top, left = (height - new_height) // 2, (width - new_width) // 2
    canvas = np.full((height, width, 3), 0.5, np.float32)
    canvas[top : top + new_height, left : left + new_width] = resize(image, new_height, new_width)
    return canvas


def _resize_rows(image: np.ndarray, count: int) -> np.ndarray:
    places = np.arange(count, dtype=np.float32) * (np.float32(len(image) - 1) / np.float32(count - 1))
    first = np.minimum(places.astype(int), len(image) - 2)
    part = (places - first).astype(np.float32)[:, None, None]
    return (1 - part) * image[first] + part * image[first + 1]


class _Numbers:
    def __init__(self, floats: np.ndarray):
        self.floats, self.place = floats, 0

    def take(self, *shape: int) -> np.ndarray:
        count = int(np.prod(shape))
        values = self.floats[self.place : self.place + count]
        self.place += count
        return values.astype(np.float64).reshape(shape)


def _int(options: dict[str, str], key: str, default: int) -> int:
    return int(options.get(key, default))


def _activate(x: np.ndarray, name: str) -> np.ndarray:
    if name == "leaky":
        return np.where(x > 0, x, 0.1 * x)
    if name == "relu":
        return np.maximum(x, 0)
    if name == "logistic":
        return 1 / (1 + np.exp(-x))
    if name == "swish":
        return x / (1 + np.exp(-x))
    if name == "mish":
        return x * np.tanh(np.log1p(np.exp(x)))
    assert name == "linear", name
    return x


def _convolutional(x, options, numbers, outputs, index):
    n, k, stride = _int(options, "filters", 1), _int(options, "size", 1), _int(options, "stride", 1)
    sy, sx = _int(options, "stride_y", stride), _int(options, "stride_x", stride)
    groups, dilation = _int(options, "groups", 1), _int(options, "dilation", 1)
    pad = k // 2 if _int(options, "pad", 0) else _int(options, "padding", 0)
    channels = x.shape[0]
    normalized = _int(options, "batch_normalize", 0)
    beta = numbers.take(n)
    gamma, mean, variance = (numbers.take(n) for _ in range(3)) if normalized else (None, None, None)
    kernel = numbers.take(n, channels // groups, k, k)
    height, width = (x.shape[1] + 2 * pad - k) // sy + 1, (x.shape[2] + 2 * pad - k) // sx + 1
    margin = pad * dilation
    padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin)))
    out = np.zeros((n, height, width))
    per_group, inputs = n // groups, channels // groups
    for group in range(groups):
        filters = slice(group * per_group, (group + 1) * per_group)
        for dy in range(k):
            for dx in range(k):
                rows = slice(dy * dilation, dy * dilation + (height - 1) * sy + 1, sy)
                columns = slice(dx * dilation, dx * dilation + (width - 1) * sx + 1, sx)
                window = padded[group * inputs : (group + 1) * inputs, rows, columns]
                out[filters] += np.tensordot(kernel[filters, :, dy, dx], window, axes=1)
    if normalized:
        shape = (n, 1, 1)
        out = (out - mean.reshape(shape)) / np.sqrt(variance.reshape(shape) + 1e-5) * gamma.reshape(shape)
    return _activate(out + beta.reshape(n, 1, 1), options.get("activation", "logistic"))


def _connected(x, options, numbers, outputs, index):
    n = _int(options, "output", 1)
    beta, kernel = numbers.take(n), numbers.take(n, x.size)
    out = kernel @ x.reshape(-1)  # [channels, height, width] in this order
    if _int(options, "batch_normalize", 0):
        gamma, mean, variance = (numbers.take(n) for _ in range(3))
        out = (out - mean) / np.sqrt(variance + 1e-5) * gamma
    return _activate(out + beta, options.get("activation", "logistic")).reshape(n, 1, 1)


def _local(x, options, numbers, outputs, index):
    n, k, s, pad = (_int(options, key, 1) for key in ("filters", "size", "stride", "pad"))
    height, width = ((side + 2 * pad - k) // s + 1 for side in x.shape[1:])
    bias, kernel = numbers.take(n, height, width), numbers.take(height * width, n, x.shape[0], k, k)
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    out = np.zeros((n, height, width))
    for row in range(height):
        for column in range(width):
            patch = padded[:, row * s : row * s + k, column * s : column * s + k]
            out[:, row, column] = (kernel[row * width + column] * patch).sum(axis=(1, 2, 3))
    return _activate(out + bias, options.get("activation", "logistic"))


def _maxpool(x, options, numbers, outputs, index):
    s = _int(options, "stride", 1)
    k = _int(options, "size", s)
    total = _int(options, "padding", k - 1)
    height, width = ((side + total - k) // s + 1 for side in x.shape[1:])
    out = np.full((x.shape[0], height, width), -np.inf)
    for row in range(height):
        for column in range(width):
            y0, x0 = row * s - total // 2, column * s - total // 2
            window = x[:, max(y0, 0) : y0 + k, max(x0, 0) : x0 + k]
            out[:, row, column] = window.max(axis=(1, 2))
    return out


def _source(value, index):
    return int(value) if int(value) >= 0 else index + int(value)


def _route(x, options, numbers, outputs, index):
    groups, group = _int(options, "groups", 1), _int(options, "group_id", 0)
    parts = [outputs[_source(value, index)] for value in options["layers"].split(",")]
    return np.concatenate([part[len(part) // groups * group : len(part) // groups * (group + 1)] for part in parts])


def _shortcut(x, options, numbers, outputs, index):
    """Add the first channels that both have; factors as in blas.c:shortcut_multilayer_cpu, one flat index at a time."""
    sources = [_source(value, index) for value in options["from"].split(",")]
    kind, norm = options.get("weights_type", "none"), options.get("weights_normalization", "none")
    step = {"none": 0, "per_feature": 1, "per_channel": len(x)}[kind]
    factors = np.ones((len(sources) + 1, len(x)))
    if step:
        factors = factors * numbers.take(len(sources) + 1, step)
        if norm == "relu":
            factors = np.maximum(factors, 0)
        if norm == "softmax":
            factors = np.exp(factors - factors.max(0))
        if norm != "none":
            factors = factors / (factors.sum(0) + 1e-4)

    total = float(options.get("alpha", 1)) * x * factors[0][:, None, None]
    for place, source in enumerate(sources, 1):
        other = outputs[source]
        stride, common = other.shape[1] // x.shape[1], min(len(other), len(x))
        other = float(options.get("beta", 1)) * other[:common, ::stride, ::stride]
        total[:common] += other * factors[place][:common, None, None]
    return _activate(total, options.get("activation", "linear"))


def _product(x, options, numbers, outputs, index):
    return _activate(x * outputs[_source(options["from"], index)], options.get("activation", "linear"))


def _upsample(x, options, numbers, outputs, index):
    s = _int(options, "stride", 2)
    return float(options.get("scale", 1)) * x.repeat(s, axis=1).repeat(s, axis=2)


def _reorg(x, options, numbers, outputs, index):
    """Reorder as `blas.c:reorg_cpu`, index by index."""
    s = _int(options, "stride", 1)
    c, h, w = x.shape
    flat, out = x.reshape(-1), np.zeros(x.size)
    depth = c // s**2
    for k in range(c):
        offset, c2 = divmod(k, depth)
        for j in range(h):
            for i in range(w):
                w2, h2 = i * s + offset % s, j * s + offset // s
                out[i + w * (j + h * k)] = flat[w2 + w * s * (h2 + h * s * c2)]
    return out.reshape(c * s**2, h // s, w // s)


def _crop(x, options, numbers, outputs, index):
    height, width = _int(options, "crop_height", 1), _int(options, "crop_width", 1)
    top, left = (x.shape[1] - height) // 2, (x.shape[2] - width) // 2
    out = x[:, top : top + height, left : left + width]
    return out if _int(options, "noadjust", 0) else 2 * out - 1


def _softmax(x, options, numbers, outputs, index):
    e = np.exp(x - x.max())
    return e / e.sum()


def _same(x, options, numbers, outputs, index):
    return x


_LAYERS = {
    "convolutional": _convolutional,
    "connected": _connected,
    "local": _local,
    "maxpool": _maxpool,
    "avgpool": lambda x, *_: x.mean(axis=(1, 2), keepdims=True),
    "route": _route,
    "shortcut": _shortcut,
    "sam": _product,
    "scale_channels": _product,
    "upsample": _upsample,
    "reorg": _reorg,
    "crop": _crop,
    "softmax": _softmax,
    "dropout": _same,
    "yolo": _same,
    "detection": _same,
    "cost": _same,
}
