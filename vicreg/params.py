"""Parameters: params.yaml becomes frozen, validated objects; whatever it should not hold is one clear error."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from vicreg import lookup

Probability = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]


class ParamsError(ValueError):
    """params.yaml holds what no study can run with; the message names each key, its value and what is allowed."""


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
    folder: str | None
    subset: bool
    primary: Name
    transfer: Name
    fractions: Fractions
    width: Count
    projector_width: Annotated[int, Field(ge=2)]
    epochs: Count
    batch_size: Annotated[int, Field(ge=2)]
    online_every: Annotated[int, Field(ge=0)]


class Encoder(Section):
    method: Name
    backbone: Name
    policy: Name


class Policy(Section):
    """The numbers of `vicreg.views.Policy`; what is left out is off."""

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
    weights: str | None


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
    switch_epoch: Annotated[int, Field(ge=0)]
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


class RepresentativeLoss(Section):
    others: Annotated[int, Field(ge=1, le=12)]
    draws: Annotated[int, Field(ge=2)]


class Params(Section):
    """All of params.yaml. Sections whose name begins with `aug` are policies, any number of them."""

    study: Name
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    protocol: Literal["report", "standard"]
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$")]
    precision: Literal["auto", "float32", "bfloat16"]
    memory: Literal["auto", "device", "host"]
    compile: bool | Literal["auto"]
    studies: Annotated[dict[Name, Study], Field(min_length=1)]
    encoders: Annotated[dict[Name, Encoder], Field(min_length=1)]
    policies: dict[Name, Policy]
    vicreg: VICReg
    untrained: Untrained
    published: Published
    resnet18: ResNet18
    resnet50: ResNet50
    optimizer: Optimizer
    schedule: Schedule
    probes: Probes
    representative_loss: RepresentativeLoss

    @model_validator(mode="before")
    @classmethod
    def policies_are_sections(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        rest = {key: value for key, value in values.items() if not str(key).startswith("aug")}
        return rest | {"policies": {key: value for key, value in values.items() if key not in rest}}

    @model_validator(mode="after")
    def names_exist(self) -> Self:
        for key, value, allowed in self.references():
            if value not in allowed:
                raise ValueError(f"{key} = {value!r}: allowed are {', '.join(sorted(allowed))}")
        return self

    def references(self) -> Iterator[tuple[str, str, set[str]]]:
        """Yield (key, value, allowed values) for each parameter that names a section or a module."""
        yield "study", self.study, set(self.studies)
        for name, study in self.studies.items():
            yield f"studies.{name}.source", study.source, lookup.names("sources")
        for name, encoder in self.encoders.items():
            yield f"encoders.{name}.method", encoder.method, lookup.names("methods")
            yield f"encoders.{name}.backbone", encoder.backbone, lookup.names("backbones")
            yield f"encoders.{name}.policy", encoder.policy, set(self.policies)

    @model_validator(mode="after")
    def parts_fit_together(self) -> Self:
        for name, study in self.studies.items():
            if study.primary == study.transfer:
                raise ValueError(f"studies.{name}.transfer = {study.transfer!r}: must differ from `primary`")
            if study.source == "local" and not study.folder:
                raise ValueError(f"studies.{name}.folder = {study.folder!r}: the source `local` needs a folder")
        for name, encoder in self.encoders.items():
            for member in (encoder.method, encoder.backbone):
                if member not in type(self).model_fields:
                    raise ValueError(
                        f"encoders.{name}: {member!r} has no section here and no class in vicreg/params.py"
                    )
            if encoder.method == "published" and encoder.backbone != "resnet50":
                raise ValueError(
                    f"encoders.{name}.backbone = {encoder.backbone!r}: the published weights are resnet50's"
                )
        if not self.probes.names():
            raise ValueError("probes: there must be one at least")
        return self

    @property
    def sizes(self) -> Study:
        """The block of `studies` that `study` names."""
        return self.studies[self.study]

    def section(self, name: str) -> dict[str, Any]:
        """The numbers of the method or backbone of this name, as keyword arguments."""
        return getattr(self, name).model_dump()

    def encoder(self, name: str) -> Encoder:
        """The entry of `encoders` of this name; raises ParamsError that lists the others."""
        if name not in self.encoders:
            raise ParamsError(f"there is no encoder {name!r} in params.yaml; choose from {', '.join(self.encoders)}")
        return self.encoders[name]

    def not_run(self, encoder: str) -> str | None:
        """Why this encoder does not take part, in words; None where it does."""
        if self.encoder(encoder).method == "published" and self.published.weights is None:
            return "not run: `published.weights` names no file"
        return None


def load(path: Path | str = "params.yaml") -> Params:
    """Read and validate the parameters at `path`, in YAML 1.2 as DVC writes it (so that 1e-4 is a number).

    Raises ParamsError naming every key that is unknown, missing, of the wrong type or out of range.
    """
    try:
        values = YAML(typ="safe").load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise ParamsError(f"{path} cannot be read as parameters: {error}") from error
    return validate(values, str(path))


def validate(values: Any, origin: str = "params.yaml") -> Params:
    """Return `values`, the mapping that `origin` holds, as parameters; raises ParamsError."""
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        problems = "\n".join(f"  {line}" for line in map(describe, error.errors()))
        raise ParamsError(f"{origin} cannot be used:\n{problems}") from None


def describe(problem: Any) -> str:
    """One line for one of pydantic's problems: the key, the value, what is allowed."""
    location = [str(part) for part in problem["loc"] if part != "policies"]
    key = ".".join(location) or "the file"
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key; see the comments of params.yaml for those there are"
    if problem["type"] == "missing":
        return f"{key}: missing"
    message = problem["msg"].removeprefix("Value error, ").replace("Input should", "must")
    if problem["type"] == "value_error":
        return f"{key}: {message}" if location else message
    return f"{key} = {problem['input']!r}: {message[0].lower()}{message[1:]}"
