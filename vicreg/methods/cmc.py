"""CMC: the lightness of an image finds its colors among those of all images, and the other way round.

Tian, Krishnan, Isola, Contrastive Multiview Coding, ECCV 2020, <https://arxiv.org/abs/1906.05849>.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from vicreg.augment.batch import Batch
from vicreg.engine import distributed
from vicreg.io.section import Count
from vicreg.nn.encoder import Encoder
from vicreg.nn.lab import rgb_to_lab
from vicreg.nn.memory_bank import BankParams, MemoryBank
from vicreg.nn.method import Method
from vicreg.nn.precision import unit

MIDDLE = (50.0, (-86.183 + 98.233) / 2, (-107.857 + 94.478) / 2)  # of what sRGB has of L, a and b ...
HALF_RANGE = (50.0, (86.183 + 98.233) / 2, (107.857 + 94.478) / 2)  # ... which becomes [-1, 1]
CHANNELS = {"lightness": slice(0, 1), "color": slice(1, 3)}


class ChannelNetwork(nn.Module):
    """A network that sees some channels of images (N, 3, H, W) in Lab."""

    def __init__(self, backbone: Any, part: Literal["lightness", "color"]):
        """backbone: whose kind the network is of, with half its width; ValueError where it has none."""
        super().__init__()
        if "width" not in type(backbone.params).model_fields:
            raise ValueError("cmc needs a backbone with a `width`, to halve it")
        self.channels = CHANNELS[part]
        width = max(1, backbone.params.width // 2)
        half = type(backbone.params).model_validate(backbone.params.model_dump() | {"width": width})
        self.network = type(backbone)(half, channels=self.channels.stop - self.channels.start)
        self.num_features = self.network.num_features

    def forward(self, lab: Tensor) -> Tensor:
        return self.network(lab[:, self.channels].contiguous(memory_format=torch.channels_last))


class TwoNetworks(nn.Module):
    """Both networks, one's representations after the other's."""

    def __init__(self, backbone: Any):
        super().__init__()
        self.lightness, self.color = (ChannelNetwork(backbone, part) for part in ("lightness", "color"))
        self.num_features = self.lightness.num_features + self.color.num_features

    def forward(self, lab: Tensor) -> Tensor:
        return torch.cat([self.lightness(lab), self.color(lab)], dim=1)


class LabEncoder(Encoder):
    """Images (N, 3, H, W) in RGB, uint8 or float in [0, 1] -> representations (N, num_features), by way of Lab."""

    def normalize(self, images: Tensor) -> Tensor:
        lab = rgb_to_lab(images)
        channels = zip(lab.unbind(-3), MIDDLE, HALF_RANGE, strict=True)
        return torch.stack([(channel - middle) / half for channel, middle, half in channels], dim=-3)


class CMC(Method):
    """A view (N, 3, H, W) and places in the banks -> loss, its terms, and the embeddings of both parts.

    Views keep their colors, as in the paper, whatever the policy says of jitter and gray: with other colors at random
    lightness would tell little of them.
    """

    class Params(BankParams):
        """representation: what is evaluated: `both` networks' representations, or those of one, lightness or color."""

        embedding_width: Count = 128
        representation: Literal["both", "lightness", "color"] = "both"

    kept = ()
    remembers_images = True
    banks: Any  # nn.ModuleDict[MemoryBank]

    def __init__(self, encoder: Encoder, params: Params, *, num_images: int):
        super().__init__(LabEncoder(TwoNetworks(encoder.backbone)), params, num_images=num_images)
        self.heads, self.banks = nn.ModuleDict(), nn.ModuleDict()
        for part in CHANNELS:
            features = getattr(self.encoder.backbone, part).num_features
            self.heads[part] = nn.Linear(features, params.embedding_width)
            self.banks[part] = MemoryBank(num_images, params.embedding_width)

    @property
    def representation(self) -> Encoder:
        part = self.params.representation
        return self.encoder if part == "both" else LabEncoder(getattr(self.encoder.backbone, part))

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        policy = batch.policy.model_copy(update={"jitter": 0.0, "grayscale": 0.0})
        return {"views": batch.views(1, policy=policy), **self.params.draw(batch, len(self.banks["color"].rows))}

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        y = self.encoder(inputs["views"]).chunk(2, dim=1)  # both networks have as many features
        lightness, color = (unit(self.heads[part](x)) for part, x in zip(CHANNELS, y, strict=True))
        by_lightness = self.params.contrast(lightness, self.banks["color"].rows, inputs)
        by_color = self.params.contrast(color, self.banks["lightness"].rows, inputs)
        return {
            "loss": by_lightness["loss"] + by_color["loss"],
            "lightness_loss": by_lightness["loss"].detach(),
            "color_loss": by_color["loss"].detach(),
            "accuracy": (by_lightness["accuracy"] + by_color["accuracy"]) / 2,
            "lightness": lightness.detach(),
            "color": color.detach(),
            "indices": inputs["indices"],
        }

    def after_step(self, outputs: dict[str, Tensor], progress: float) -> None:
        indices = distributed.gather(outputs["indices"])
        for part in CHANNELS:
            self.banks[part].update(indices, distributed.gather(outputs[part]), self.params.bank_momentum)
