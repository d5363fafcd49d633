"""params.yaml as frozen, validated objects; whatever it should not hold is one clear error.

Each member of a family (method, backbone, probe, source of images) declares its parameters in its own file.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from vicreg.augment.policy import Policy
from vicreg.data.source import Source
from vicreg.engine.optimizers import Optimizer, Schedule
from vicreg.evaluation.few_labels import FewLabels
from vicreg.evaluation.fine_tuning import FineTuning
from vicreg.evaluation.probe import Probe
from vicreg.io import plugins, yaml
from vicreg.io.section import MAX_INT, Count, Fraction, Name, NonNegative, PathOrUrl, Section
from vicreg.nn.backbone import Backbone
from vicreg.nn.method import Method

BASES: dict[str, type] = {"methods": Method, "backbones": Backbone, "probes": Probe, "sources": Source}
DEVICES = r"^(auto|cpu|cuda(:[0-9]{1,3})?|mps)$"
CIFAR_POLICY = "aug"  # the name of the policy that has a section of its own


class ParamsError(ValueError):
    """params.yaml holds what no study can run with; the message names each key, its value and what is allowed."""


class Fractions(Section):
    """Of the protocol's numbers of images, in (0, 1]."""

    pretrain: Fraction
    probe: Fraction


class Study(Section):
    """A block of `studies`: the datasets and the sizes, and what rows of `encoders` say differently in this study."""

    primary: Name
    transfer: Name
    fractions: Fractions
    width: Count
    projector_width: Annotated[int, Field(ge=2, le=MAX_INT)]
    epochs: Count
    batch_size: Annotated[int, Field(ge=2, le=MAX_INT)]
    online_eval_every: Annotated[int, Field(ge=0, le=MAX_INT)]
    encoders: dict[Name, dict[str, Any]] = Field(default_factory=dict)


class Row(Section):
    """An entry of `encoders`: a method, a backbone, a policy, and what is to differ from the sections of this file."""

    method: Name
    backbone: Name
    policy: Name | None = None
    method_params: dict[str, Any] = Field(default_factory=dict)
    backbone_params: dict[str, Any] = Field(default_factory=dict)
    policy_params: dict[str, Any] = Field(default_factory=dict)
    optimizer: dict[str, Any] = Field(default_factory=dict)
    schedule: dict[str, Any] = Field(default_factory=dict)
    epochs: Count | None = None
    batch_size: Annotated[int, Field(ge=2, le=MAX_INT)] | None = None


class PairLoss(Section):
    """The section `pair_loss`: pairs whose loss is a mean, and images beside the one that is shown."""

    num_pairs: Annotated[int, Field(ge=2, le=MAX_INT)]
    num_negatives: Annotated[int, Field(ge=0, le=11)]


class Neighbors(Section):
    """The section `neighbors`: images that are shown with theirs, and points of the map."""

    images: Annotated[int, Field(ge=1, le=20)]
    points: Annotated[int, Field(ge=2, le=5000)]


class ExternalDatasets(Section):
    """voc07, places205, inat18: the folder that each lies in, if any; size: pixels of a side that an encoder sees."""

    voc07: PathOrUrl | None
    places205: PathOrUrl | None
    inat18: PathOrUrl | None
    size: Annotated[int, Field(ge=8, le=1024)]


class Params(Section):
    """All of params.yaml."""

    study: Name
    rows: Annotated[list[Name], Field(min_length=1)]
    judged: list[Name]
    policy: Name | None
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    protocol: Literal["report", "standard"]
    device: Annotated[str, Field(pattern=DEVICES)]
    precision: Literal["auto", "float32", "bfloat16"]
    compile: bool | Literal["auto"]
    num_processes: Count | Literal["auto"]
    threads: Count | Literal["auto"]
    data_placement: Literal["auto", "device", "stream"]
    checkpoint_every: NonNegative
    studies: Annotated[dict[Name, Study], Field(min_length=1)]
    datasets: dict[Name, dict[str, Any]]
    encoders: Annotated[dict[Name, Row], Field(min_length=1)]
    aug: Policy
    policies: dict[Name, Policy]
    methods: dict[Name, dict[str, Any]]
    backbones: dict[Name, dict[str, Any]]
    optimizer: Optimizer
    schedule: Schedule
    probes: Annotated[dict[Name, dict[str, Any]], Field(min_length=1)]
    pair_loss: PairLoss
    neighbors: Neighbors
    few_labels: FewLabels
    fine_tuning: FineTuning
    external_datasets: ExternalDatasets

    @model_validator(mode="after")
    def names_exist(self) -> Self:
        """Raise ValueError for a name that is no plugin and no entry, with those that are."""
        for key, value, allowed in self.references():
            if value not in allowed:
                family = f"{key.rpartition('.')[2]}s"
                known = family in plugins.FAMILIES and value in plugins.names(family)
                hint = f"; {value} needs an entry below `{family}`" if known else ""
                raise ValueError(f"{key} = {value!r}: allowed are {', '.join(sorted(allowed))}{hint}")
        return self

    def references(self) -> Iterator[tuple[str, str, Iterable[str]]]:
        """Yield (key, value, allowed values) for each parameter that names a section or a module."""
        yield "study", self.study, self.studies
        for i, row in enumerate(self.rows):
            yield f"rows.{i}", row, self.encoders
        for i, row in enumerate(self.judged):
            yield f"judged.{i}", row, self.rows
        yield "few_labels.probe", self.few_labels.probe, plugins.names("probes")
        for name, dataset in self.datasets.items():
            yield f"datasets.{name}.source", str(dataset.get("source")), plugins.names("sources")
        for name, study in self.studies.items():
            yield f"studies.{name}.primary", study.primary, self.datasets
            yield f"studies.{name}.transfer", study.transfer, set(self.datasets) - {study.primary}
            for row in study.encoders:
                yield f"studies.{name}.encoders", row, self.encoders
        for family in ("methods", "backbones", "probes"):
            for name in getattr(self, family):
                yield f"{family}.{name}", name, plugins.names(family)
        entries = [(f"encoders.{name}", entry) for name, entry in self.encoders.items()]
        for name, study in self.studies.items():
            of_study = self.model_copy(update={"study": name})
            rows = [row for row in study.encoders if row in self.encoders]
            entries += [(f"studies.{name}.encoders.{row}", of_study.entry(row)) for row in rows]
        for key, entry in entries:
            yield f"{key}.method", entry.method, self.methods
            yield f"{key}.backbone", entry.backbone, self.backbones
            if entry.policy is not None:
                yield f"{key}.policy", entry.policy, {CIFAR_POLICY, *self.policies}
        if self.policy is not None:
            yield "policy", self.policy, {CIFAR_POLICY, *self.policies}

    @model_validator(mode="after")
    def members_are_valid(self) -> Self:
        """Import every member that is named, and validate its parameters, those of each row included."""
        for name in self.datasets:
            self.source_params(name)
        for name, values in self.probes.items():
            member_params("probes", name, values, f"probes.{name}")
        member_params("probes", self.few_labels.probe, self.few_labels.params, "few_labels.params")
        for family, name in [("methods", n) for n in self.methods] + [("backbones", n) for n in self.backbones]:
            member_class(family, name)
        for name in self.encoders:
            self.sections(name)
        for study, sizes in self.studies.items():
            for name in sizes.encoders:
                self.model_copy(update={"study": study}).sections(name)
        return self

    @property
    def sizes(self) -> Study:
        """The block of `studies` that `study` names."""
        return self.studies[self.study]

    def entry(self, row: str) -> Row:
        """The entry of `encoders` for a row, with what this study says differently."""
        values, differently = self.encoders[row].model_dump(exclude_unset=True), self.sizes.encoders.get(row, {})
        return validated(Row, merged(values, differently), f"studies.{self.study}.encoders.{row}")

    def policy_of(self, row: str) -> str | None:
        """The name of the policy that draws a row's views; None for a row that has none."""
        own = self.entry(row).policy
        return (self.policy or own) if own else None

    def source_params(self, dataset: str) -> Section:
        """The parameters of a dataset's source."""
        values = {**self.datasets[dataset]}
        source = str(values.pop("source"))
        if (names := member_class("sources", source).DATASETS) and dataset not in names:
            raise ValueError(f"datasets.{dataset}.source = {source!r}: it has {', '.join(names)}")
        return member_params("sources", source, values, f"datasets.{dataset}")

    def sections(self, row: str) -> dict[str, Any]:
        """The sections `method`, `backbone`, `policy` (None where there is none), `optimizer` and `schedule` of a row.

        They are those of this file with the row's own values. Where neither says a member's width, the study does.
        """
        entry, key = self.entry(row), f"encoders.{row}"
        if row in self.sizes.encoders:
            key = f"studies.{self.study}.{key}"
        sections: dict[str, Any] = {}
        for kind in ("method", "backbone"):
            name, family = getattr(entry, kind), f"{kind}s"
            fields = member_class(family, name).Params.model_fields
            sizes = {size: getattr(self.sizes, size) for size in ("width", "projector_width") if size in fields}
            values = {**sizes, **getattr(self, family)[name], **getattr(entry, f"{kind}_params")}
            sections[kind] = member_params(family, name, values, f"{family}.{name} ({key})")
        for kind in ("optimizer", "schedule"):
            section = getattr(self, kind)
            sections[kind] = validated(type(section), {**section.model_dump(), **getattr(entry, kind)}, f"{key}.{kind}")
        policies = {CIFAR_POLICY: self.aug, **self.policies}
        values = policies[name].model_dump() if (name := self.policy_of(row)) else {}
        changes = {} if self.policy else entry.policy_params
        sections["policy"] = validated(Policy, {**values, **changes}, f"{key}.policy_params")
        if not entry.policy and member_class("methods", entry.method).trains:
            raise ValueError(f"{key}.policy: missing; its method trains on views")
        return sections


def member_class(family: str, name: str) -> Any:
    """The class of a member; raises ValueError where its file does not define what the family's contract asks for."""
    base = BASES[family]
    try:
        member = plugins.member_class(family, name, base)
    except (TypeError, LookupError) as error:
        raise ValueError(str(error)) from error
    needed = {"methods": "forward", "backbones": "forward", "probes": "fit", "sources": "load"}[family]
    if getattr(member, "trains", True) and getattr(member, needed) is getattr(base, needed):
        raise ValueError(f"{member.__module__}.{member.__name__} must define {needed}")
    return member


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry with `changes`: of a section only what they say, and no parameters of a method that it had."""
    other = [kind for kind in ("method", "backbone") if changes.get(kind, values.get(kind)) != values.get(kind)]
    values = {key: value for key, value in values.items() if key.removesuffix("_params") not in other}
    sections = {key for key, value in changes.items() if isinstance(value, dict) and isinstance(values.get(key), dict)}
    return {**values, **changes, **{key: {**values[key], **changes[key]} for key in sections}}


def member_params(family: str, name: str, values: dict[str, Any], key: str) -> Section:
    """Return a plugin's own parameters; raises ValueError whose lines begin with `key`."""
    return validated(member_class(family, name).Params, values, key)


def validated(section: Any, values: dict[str, Any], key: str) -> Any:
    """Validate values as a section; raises ValueError whose lines begin with `key`."""
    try:
        return section.model_validate(values)
    except ValidationError as error:
        raise ValueError("\n  ".join(describe(problem, section, key) for problem in error.errors())) from error


def load(path: Path | str = "params.yaml") -> Params:
    """Read and validate the parameters at `path`.

    Raises ParamsError naming every key that is unknown, missing, of the wrong type or out of range.
    """
    try:
        values = yaml.load(path)
    except (OSError, ValueError) as error:
        raise ParamsError(f"{path} cannot be used: {error}") from error
    return validate(values, str(path))


def validate(values: Any, origin: str = "params.yaml") -> Params:
    """Return `values`, the mapping that `origin` holds, as parameters; raises ParamsError."""
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        lines = [f"  {describe(problem, Params)}" for problem in error.errors()]
    raise ParamsError("\n".join([f"{origin} cannot be used:", *lines]))


def describe(problem: Any, section: type[Section], prefix: str = "") -> str:
    """One line for one of pydantic's problems: the key, the value, what is allowed."""
    key = ".".join([*filter(None, [prefix]), *map(str, problem["loc"])]) or "the file"
    if problem["type"] == "extra_forbidden":
        allowed = f"; there are {', '.join(section.model_fields)}" if len(problem["loc"]) == 1 else ""
        return f"{key}: unknown key{allowed}"
    if problem["type"] == "missing":
        return f"{key}: missing"
    message = problem["msg"].removeprefix("Value error, ").replace("Input should", "must")
    if problem["type"] == "value_error":
        return message if key == "the file" else f"{key}: {message}"
    return f"{key} = {problem['input']!r:.80}: {message[0].lower()}{message[1:]}"
