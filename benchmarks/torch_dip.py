"""The standard network and the default sampler once more, in PyTorch: what bdip's speed is compared with.

Written as one would who wants it fast: one flat vector holds all weights, so that the update is a
handful of operations; nothing goes to the host during a run; the prior's gradient is added by hand.
Imported only where PyTorch is installed (`pip install torch`).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

MOMENTUM, DECAY, DAMPING = 0.95, 0.99, 1.0
STEP_SIZE, TEMPERATURE, WEIGHT_PRECISION, NOISE_STD = 1e-3, 1.0, 1.0, 25 / 255
LATENT_CHANNELS, LATENT_SCALE, SLOPE = 32, 0.1, 0.2


def block(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, norm over the one image, activation."""
    convolution = nn.Conv2d(
        inputs, outputs, kernel, stride, kernel // 2, padding_mode="reflect", bias=False
    )
    return nn.Sequential(
        convolution, nn.BatchNorm2d(outputs, track_running_stats=False), nn.LeakyReLU(SLOPE)
    )


class Level(nn.Module):
    """One scale of the hourglass: `bdip.networks.hourglass._Level`."""

    def __init__(self, scales: int, inputs: int, channels: int, skip: int) -> None:
        super().__init__()
        self.skip = block(inputs, skip, 1)
        self.halve = block(inputs, channels, 3, 2)
        self.refine = block(channels, channels, 3)
        self.coarser = Level(scales - 1, channels, channels, skip) if scales > 1 else nn.Identity()
        self.joined_norm = nn.BatchNorm2d(skip + channels, track_running_stats=False)
        self.mix = block(skip + channels, channels, 3)
        self.polish = block(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The image (1, C, H, W) at this scale."""
        deep = self.coarser(self.refine(self.halve(x)))
        deep = functional.interpolate(deep, scale_factor=2, mode="bilinear", align_corners=False)
        joined = torch.cat([self.skip(x), deep], dim=1)
        return self.polish(self.mix(self.joined_norm(joined)))


def shaped(flat: Tensor, like: Tensor, channels_last: bool) -> Tensor:
    """A view in the shape of a parameter, kernels in the order of axes that the device prefers."""
    if not (channels_last and like.ndim == 4):
        return flat.view(like.shape)
    outputs, inputs, height, width = like.shape
    return flat.view(outputs, height, width, inputs).permute(0, 3, 1, 2)


def contestant(
    size: int, channels: int, scales: int, colours: int, device: str, compiled: bool, precision: str
) -> Callable[[int], None]:
    """A function that does some steps and returns when they are done."""
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    model = nn.Sequential(
        Level(scales, LATENT_CHANNELS, channels, 4), nn.Conv2d(channels, colours, 1), nn.Sigmoid()
    ).to(device)
    params = list(model.parameters())
    theta = torch.cat([p.detach().flatten() for p in params])
    gradient = torch.zeros_like(theta)
    start = 0
    for p in params:
        place = slice(start, start + p.numel())
        p.data, p.grad = (shaped(flat[place], p, device == "cuda") for flat in (theta, gradient))
        start = place.stop
    latent = LATENT_SCALE * torch.rand(1, LATENT_CHANNELS, size, size, device=device)
    if device == "cuda":
        latent = latent.to(memory_format=torch.channels_last)
    data = torch.rand(1, colours, size, size, device=device)
    mask = torch.ones(1, 1, size, size, device=device)
    square, velocity = torch.zeros_like(theta), torch.zeros_like(theta)
    mean, scatter = torch.zeros_like(data), torch.zeros_like(data)
    weight, trace = torch.zeros((), device=device), []

    def misfit() -> tuple[Tensor, Tensor]:
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
            image = model(latent)
        residual = mask * (image.float() - data)
        return residual.square().sum() / (2 * NOISE_STD**2), image

    def update(image: Tensor) -> None:
        gradient.add_(theta, alpha=WEIGHT_PRECISION)
        square.mul_(DECAY).addcmul_(gradient, gradient, value=1 - DECAY)
        gain = 1 / (square.sqrt() + DAMPING)
        time = STEP_SIZE**0.5
        velocity.addcmul_(gain, gradient, value=-time)
        theta.add_(velocity, alpha=time / 2)
        noise = torch.randn_like(theta)
        velocity.mul_(MOMENTUM)
        velocity.addcmul_((TEMPERATURE * (1 - MOMENTUM**2) * gain).sqrt(), noise)
        theta.add_(velocity, alpha=time / 2)
        weight.add_(STEP_SIZE)
        share = STEP_SIZE / weight
        away = image - mean
        scatter.addcmul_(away, away * (STEP_SIZE * (1 - share)))
        mean.addcmul_(away, share)

    if compiled:
        misfit, update = torch.compile(misfit), torch.compile(update)

    def run(steps: int) -> None:
        for _ in range(steps):
            gradient.zero_()
            value, image = misfit()
            value.backward()
            with torch.no_grad():
                update(image.detach().float())
                trace.append(value.detach())
        trace[-1].item()  # waits for the device

    return run
