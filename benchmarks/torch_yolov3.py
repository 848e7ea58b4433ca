"""YOLOv3 and YOLOv3-tiny in plain PyTorch, with a loss of the same terms: a baseline for our training steps.

Nothing is tuned: stock modules, the loss vectorised over the batch. Targets are assigned once, beforehand, whereas our
own step assigns them every time.
"""

import torch
from torch import nn
from torch.nn import functional

STRIDES = {"yolov3-tiny": (32, 16), "yolov3": (32, 16, 8)}


def conv(inside: int, outside: int, size: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution without bias, batch normalisation and leaky ReLU."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outside, eps=1e-5, momentum=0.01),
        nn.LeakyReLU(0.1, inplace=True),
    )


class Residual(nn.Module):
    """Darknet-53's residual block."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(conv(channels, channels // 2, 1), conv(channels // 2, channels, 3))

    def forward(self, x):
        return x + self.body(x)


class Tiny(nn.Module):
    """Darknet's yolov3-tiny.cfg."""

    def __init__(self, outputs: int):
        super().__init__()
        stages, inside = [], 3
        for outside in (16, 32, 64, 128):
            stages += [conv(inside, outside, 3), nn.MaxPool2d(2, 2)]
            inside = outside
        self.fine = nn.Sequential(*stages, conv(128, 256, 3))
        self.deep = nn.Sequential(
            nn.MaxPool2d(2, 2),
            conv(256, 512, 3),
            nn.ZeroPad2d((0, 1, 0, 1)),
            nn.MaxPool2d(2, 1),
            conv(512, 1024, 3),
            conv(1024, 256, 1),
        )
        self.coarse_head = nn.Sequential(conv(256, 512, 3), nn.Conv2d(512, outputs, 1))
        self.up = nn.Sequential(conv(256, 128, 1), nn.Upsample(scale_factor=2))
        self.fine_head = nn.Sequential(conv(384, 256, 3), nn.Conv2d(256, outputs, 1))

    def forward(self, x):
        fine = self.fine(x)
        deep = self.deep(fine)
        return self.coarse_head(deep), self.fine_head(torch.cat([self.up(deep), fine], 1))


class Full(nn.Module):
    """Darknet's yolov3.cfg."""

    def __init__(self, outputs: int):
        super().__init__()
        stages, inside = [conv(3, 32, 3)], 32
        for outside, count in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
            stages.append(nn.Sequential(conv(inside, outside, 3, 2), *(Residual(outside) for _ in range(count))))
            inside = outside

        self.stages = nn.ModuleList(stages)
        self.blocks = nn.ModuleList([self.block(1024, 512), self.block(768, 256), self.block(384, 128)])
        self.heads = nn.ModuleList(
            nn.Sequential(conv(width, 2 * width, 3), nn.Conv2d(2 * width, outputs, 1)) for width in (512, 256, 128)
        )
        self.ups = nn.ModuleList(
            nn.Sequential(conv(width, width // 2, 1), nn.Upsample(scale_factor=2)) for width in (512, 256)
        )

    @staticmethod
    def block(inside: int, width: int) -> nn.Sequential:
        return nn.Sequential(
            conv(inside, width, 1),
            conv(width, 2 * width, 3),
            conv(2 * width, width, 1),
            conv(width, 2 * width, 3),
            conv(2 * width, width, 1),
        )

    def forward(self, x):
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)

        outputs, x = [], features[-1]
        for scale, (block, head) in enumerate(zip(self.blocks, self.heads)):
            x = block(x)
            outputs.append(head(x))
            if scale < 2:
                x = torch.cat([self.ups[scale](x), features[-2 - scale]], 1)
        return outputs


def targets_of(boxes, model: str, input_size, num_classes: int):
    """Return a target [B, 3, H, W, 5 + C] per scale; boxes [B, T, 5] go to the scales in turn, to anchor 0."""
    targets = []
    for scale, stride in enumerate(STRIDES[model]):
        height, width = input_size[0] // stride, input_size[1] // stride
        target = torch.zeros(len(boxes), 3, height, width, 5 + num_classes)

        for image, rows in enumerate(boxes):
            for x, y, w, h, class_id in rows[scale :: len(STRIDES[model])]:
                slot = target[image, 0, min(int(y * height), height - 1), min(int(x * width), width - 1)]
                slot[:5] = torch.tensor([x * width % 1, y * height % 1, w, h, 1])
                slot[5 + int(class_id)] = 1

        targets.append(target)
    return targets


def loss_of(outputs, targets):
    """Return cross-entropy of centres, objectness and classes plus squared error of sizes, averaged over the images."""
    total = 0.0
    for raw, target in zip(outputs, targets):
        batch, _, height, width = raw.shape
        raw = raw.float().view(batch, 3, -1, height, width).permute(0, 1, 3, 4, 2)  # [B, 3, H, W, 5 + C]

        is_object = target[..., 4]
        entropy = functional.binary_cross_entropy_with_logits
        xy = entropy(raw[..., :2], target[..., :2], reduction="none").sum(-1)
        wh = 0.5 * (raw[..., 2:4] - target[..., 2:4]).square().sum(-1)
        classes = entropy(raw[..., 5:], target[..., 5:], reduction="none").sum(-1)
        objectness = entropy(raw[..., 4], is_object, reduction="none")
        total = total + (is_object * (xy + wh + classes) + objectness).sum() / batch
    return total


def build_step(
    model: str,
    *,
    input_size,
    num_classes: int,
    bfloat16: bool,
    channels_last: bool,
    device: str = "cpu",
    compiled: bool = False,
):
    """Return a training step: a function of images [B, 3, H, W] and boxes [B, T, 5] that returns the loss.

    Images and targets of the first call stay on the device; later calls use them again. With ``compiled`` the network
    runs under ``torch.compile``.
    """
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = (Tiny if model == "yolov3-tiny" else Full)(3 * (5 + num_classes)).train()
    network = network.to(device, memory_format=layout)
    optimizer = torch.optim.Adam(network.parameters(), 1e-6)
    forward = torch.compile(network) if compiled else network
    known: list = []

    def step(images, boxes) -> torch.Tensor:
        if not known:
            known.append(images.to(device).to(memory_format=layout))
            known.append([target.to(device) for target in targets_of(boxes, model, input_size, num_classes)])
        with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
            outputs = forward(known[0])
        loss = loss_of(outputs, known[1])

        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step
