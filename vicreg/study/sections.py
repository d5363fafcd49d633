"""Sections of params.yaml: what each may hold, by type and range. A new method, backbone or probe adds its class."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Probability = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
LARGEST = 1_000_000_000  # more than any study counts, and less than where torch stops counting
Count = Annotated[int, Field(ge=1, le=LARGEST)]
# Folders, files and runs are called by it, so nothing in it may lead elsewhere or look like an option.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$", max_length=100)]
Place = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=4000)]  # a path or an address


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def pair(value: Any) -> Any:
    """YAML has lists where Python has pairs."""
    return tuple(value) if isinstance(value, list) else value


class Fractions(Section):
    pretrain: Share
    probe: Share


class Study(Section):
    source: Name
    folder: Place | None
    subset: bool
    primary: Name
    transfer: Name
    fractions: Fractions
    width: Count
    projector_width: Annotated[int, Field(ge=2, le=LARGEST)]
    epochs: Count
    batch_size: Annotated[int, Field(ge=2, le=LARGEST)]
    online_every: Annotated[int, Field(ge=0, le=LARGEST)]


class Encoder(Section):
    method: Name
    backbone: Name
    policy: Name


class Policy(Section):
    """The numbers of `vicreg.augment.views.Policy`; what is left out is off."""

    scale_min: Share = 1.0
    scale_max: Share = 1.0
    ratio_min: Positive = 3 / 4
    ratio_max: Positive = 4 / 3
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    flip: Probability = 0.0
    jitter: Probability = 0.0
    brightness: Probability = 0.0
    contrast: Probability = 0.0
    saturation: Probability = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    grayscale: Probability = 0.0
    blur: tuple[Probability, Probability] = (0.0, 0.0)
    blur_kernel: Annotated[int, Field(ge=1, le=31)] = 3
    blur_sigma: tuple[Positive, Positive] = (0.1, 2.0)
    solarize: tuple[Probability, Probability] = (0.0, 0.0)
    solarize_threshold: Probability = 0.5

    @model_validator(mode="before")
    @classmethod
    def lists_are_pairs(cls, values: Any) -> Any:
        return {key: pair(value) for key, value in values.items()} if isinstance(values, dict) else values

    @model_validator(mode="after")
    def ranges_are_ordered(self) -> Self:
        for low, high in (("scale_min", "scale_max"), ("ratio_min", "ratio_max")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} = {getattr(self, low)} must not exceed {high} = {getattr(self, high)}")
        if self.blur_sigma[0] > self.blur_sigma[1]:
            raise ValueError(f"blur_sigma = {list(self.blur_sigma)} must be [least, most]")
        if self.blur_kernel % 2 == 0:
            raise ValueError(f"blur_kernel = {self.blur_kernel} must be odd")
        return self


class VICReg(Section):
    invariance: NotNegative
    variance: NotNegative
    covariance: NotNegative
    gamma: Positive
    epsilon: Positive
    variance_over_views: Literal["mean", "sum"]
    invariance_over_dimensions: Literal["mean", "sum"]
    projector_depth: Count


class Untrained(Section):
    pass


class Published(Section):
    weights: Place | None


class ResNet18(Section):
    stem: Literal["cifar", "imagenet"]


class ResNet50(Section):
    image_size: Annotated[int, Field(ge=32, le=1024)]


class Optimizer(Section):
    name: Literal["adam", "adamw", "sgd", "lars"]
    base_lr: Positive
    scaling: Literal["linear", "sqrt", "none"]
    weight_decay: NotNegative
    momentum: Annotated[float, Field(ge=0, lt=1)]
    trust_coefficient: Positive


class Schedule(Section):
    name: Literal["cosine", "two_phase"]
    warmup: Annotated[float, Field(ge=0, lt=1)]
    final: Probability
    switch_epoch: Annotated[int, Field(ge=0, le=LARGEST)]
    switch_factor: Positive


class Linear(Section):
    epochs: Count
    lr: Positive
    schedule: Literal["cosine", "constant"]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: NotNegative
    batch_size: Count
    standardise: bool


class Logistic(Section):
    C: Annotated[list[Positive], Field(min_length=1)]
    holdout: Annotated[float, Field(gt=0, lt=1)]
    max_iter: Count
    standardise: bool


class KNN(Section):
    k: Count
    temperature: Positive


class Probes(Section):
    """The probes that run, in this order; one that is left out does not."""

    linear: Linear | None = None
    logistic: Logistic | None = None
    knn: KNN | None = None

    def names(self) -> list[str]:
        return [name for name in type(self).model_fields if getattr(self, name) is not None]

    def section(self, name: str) -> dict[str, Any]:
        """The numbers of this probe, as keyword arguments."""
        return getattr(self, name).model_dump()


class Portrait(Section):
    images: Annotated[int, Field(ge=1, le=20)]
    points: Annotated[int, Field(ge=2, le=5000)]


class RepresentativeLoss(Section):
    others: Annotated[int, Field(ge=1, le=12)]
    draws: Annotated[int, Field(ge=2, le=LARGEST)]
