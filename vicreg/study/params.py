"""Parameters: params.yaml becomes frozen, validated objects; whatever it should not hold is one clear error."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator
from ruamel.yaml.error import YAMLError

from vicreg.io import plugins, yaml
from vicreg.study.sections import (
    Count,
    Encoder,
    Name,
    NotNegative,
    Optimizer,
    Policy,
    Portrait,
    Probes,
    Published,
    RepresentativeLoss,
    ResNet18,
    ResNet50,
    Schedule,
    Section,
    Study,
    Untrained,
    VICReg,
)

MOST_PROBLEMS = 20  # told at once
DEVICES = r"^(auto|cpu|cuda(:[0-9]{1,3})?|mps)$"


class ParamsError(ValueError):
    """params.yaml holds what no study can run with; the message names each key, its value and what is allowed."""


class Params(Section):
    """All of params.yaml. Sections whose name begins with `aug` are policies, any number of them."""

    study: Name
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    protocol: Literal["report", "standard"]
    device: Annotated[str, Field(pattern=DEVICES)]
    precision: Literal["auto", "float32", "bfloat16"]
    memory: Literal["auto", "device", "host"]
    compile: bool | Literal["auto"]
    processes: Count | Literal["auto"]
    checkpoint_every: NotNegative
    studies: Annotated[dict[Name, Study], Field(min_length=1)]
    encoders: Annotated[dict[Name, Encoder], Field(min_length=1)]
    policies: dict[Name, Policy]
    vicreg: VICReg
    random_init: Untrained
    pretrained: Published
    resnet18: ResNet18
    resnet50: ResNet50
    optimizer: Optimizer
    schedule: Schedule
    probes: Probes
    representative_loss: RepresentativeLoss
    portrait: Portrait

    @model_validator(mode="before")
    @classmethod
    def policies_are_sections(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        if "policies" in values:
            raise ValueError("policies: unknown key; a policy is a section whose name begins with `aug`")
        rest = {key: value for key, value in values.items() if not (isinstance(key, str) and key.startswith("aug"))}
        return rest | {"policies": {key: value for key, value in values.items() if key not in rest}}

    @model_validator(mode="after")
    def names_exist(self) -> Self:
        for key, value, allowed in self.references():
            if value not in allowed:
                raise ValueError(f"{key} = {value!r}: allowed are {', '.join(sorted(allowed))}")
        return self

    def references(self) -> Iterator[tuple[str, str, Iterable[str]]]:
        """Yield (key, value, allowed values) for each parameter that names a section or a module."""
        yield "study", self.study, set(self.studies)
        for name, study in self.studies.items():
            yield f"studies.{name}.source", study.source, plugins.names("sources")
            for slot in ("primary", "transfer"):
                yield (
                    f"studies.{name}.{slot}",
                    getattr(study, slot),
                    set(plugins.member("sources", study.source).DATASETS),
                )
        for name, encoder in self.encoders.items():
            yield f"encoders.{name}.method", encoder.method, plugins.names("methods")
            yield f"encoders.{name}.backbone", encoder.backbone, plugins.names("backbones")
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
                        f"encoders.{name}: {member!r} has no section here, or no class in vicreg/sections.py"
                    )
            if encoder.method == "pretrained" and encoder.backbone != "resnet50":
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
        if self.encoder(encoder).method == "published" and self.pretrained.weights is None:
            return "not run: `pretrained.weights` names no file"
        return None


def load(path: Path | str = "params.yaml") -> Params:
    """Read and validate the parameters at `path`, in YAML 1.2 as DVC writes it (so that 1e-4 is a number).

    Raises ParamsError naming every key that is unknown, missing, of the wrong type or out of range.
    """
    try:
        values = yaml.read(Path(path))
    except (OSError, ValueError, YAMLError) as error:
        raise ParamsError(f"{path} cannot be read as parameters: {yaml.reason(error)}") from error
    return validate(values, str(path))


def validate(values: Any, origin: str = "params.yaml") -> Params:
    """Return `values`, the mapping that `origin` holds, as parameters; raises ParamsError."""
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        found = sorted(error.errors(), key=lambda problem: problem["type"] == "missing")  # of a file without any, last
    problems = [f"  {describe(problem)}" for problem in found]
    told = problems[:MOST_PROBLEMS]
    more = [f"  and {len(problems) - len(told)} more"] if len(problems) > len(told) else []
    raise ParamsError("\n".join([f"{origin} cannot be used:", *told, *more]))


def describe(problem: Any) -> str:
    """One line for one of pydantic's problems: the key, the value, what is allowed."""
    first, *inner = problem["loc"] or ("",)
    location = [str(part) for part in (first, *inner) if part != ""]
    if first == "policies":
        location = location[1:]  # which the file does not have
    key = ".".join(location) or "the file"
    if problem["type"] == "extra_forbidden":
        return yaml.shown(f"{key}: unknown key; see the comments of params.yaml for those there are")
    if problem["type"] == "missing":
        return yaml.shown(f"{key}: missing")
    message = problem["msg"].removeprefix("Value error, ").replace("Input should", "must")
    if problem["type"] == "value_error":
        return yaml.shown(f"{key}: {message}" if location else message)
    return yaml.shown(f"{key} = {yaml.brief(problem['input'])}: {message[0].lower()}{message[1:]}")
