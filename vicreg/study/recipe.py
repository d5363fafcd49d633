"""A recipe: everything that shapes one row of the tables, as one small file.

It is what the row's pretraining depends on, the key of its checkpoints, the parameters of its MLflow run, and the
description in its file of weights.
"""

from pathlib import Path
from typing import Any

from vicreg.augment.policy import Policy
from vicreg.engine.optimizers import Optimizer, Schedule
from vicreg.io import atomic, code_digest, plugins, yaml
from vicreg.io.section import Section
from vicreg.nn.backbone import Backbone
from vicreg.nn.method import Method
from vicreg.study.params import Params, ParamsError

CIFAR_SIZE = 32  # pixels, of sources without an `image_size` of their own
SHAPES = ("vicreg.study.builders",)  # modules that every row runs through ...
TRAINS = ("vicreg.jobs.trainer", "vicreg.jobs.online_eval")  # ... and those of rows that train
EVALUATES = ("download-primary", "download-transfer", "split", "features", "linear_eval")  # stages behind accuracies


class Data(Section):
    """primary: the dataset that pretrains; image_size: pixels of a side of its images."""

    primary: str
    protocol: str
    fractions: dict[str, float]
    image_size: int


class Recipe(Section):
    """All that shapes a row; what stands below `code` is there only for rows that train.

    method, backbone, policy: their names and their numbers. not_run: why the row does not take part.
    code: digest of the code that it reaches, see `vicreg.io.code_digest`.
    """

    study: str
    row: str
    seed: int
    method: dict[str, Any]
    backbone: dict[str, Any]
    data: Data
    not_run: str | None = None
    code: str
    policy: dict[str, Any] | None = None
    optimizer: Optimizer | None = None
    schedule: Schedule | None = None
    epochs: int = 0
    batch_size: int = 0
    online_eval_every: int = 0
    device: str = "cpu"
    precision: str = "float32"
    compile: bool | str = False
    num_processes: int | str = 1
    threads: int | str = "auto"

    @property
    def trains(self) -> bool:
        """Whether this row is pretrained here."""
        return self.optimizer is not None

    def method_class(self) -> type[Method]:
        """Return the class of the method."""
        return plugins.member_class("methods", self.method["name"], Method)

    def method_params(self) -> Any:
        """Return the method's own parameters."""
        return self.method_class().Params.model_validate(without_name(self.method))

    def build_backbone(self) -> Backbone:
        """Return the backbone with fresh weights."""
        member = plugins.member_class("backbones", self.backbone["name"], Backbone)
        return member(member.Params.model_validate(without_name(self.backbone)))

    def view_policy(self) -> Policy:
        """How views are drawn; of a row that does not train, every operator is off."""
        return Policy.model_validate(without_name(self.policy or {}))

    def values(self) -> dict[str, Any]:
        """As plain values, without what is not there."""
        return self.model_dump(mode="json", exclude_unset=True, exclude_none=True)

    def current_code(self) -> str:
        """The digest of the code as it is now."""
        return code_of(self.method["name"], self.backbone["name"], trains=self.trains)


def without_name(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values but for the plugin's name."""
    return {key: value for key, value in values.items() if key != "name"}


def code_of(method: str, backbone: str, *, trains: bool) -> str:
    """Return the digest of the code that a row's weights come from."""
    members = (plugins.module_name("methods", method), plugins.module_name("backbones", backbone))
    return code_digest.digest(*SHAPES, *(TRAINS if trains else ()), *members)


def resolve(p: Params, row: str) -> Recipe:
    """Return the recipe of a row of params.yaml; raises ParamsError for a row that it does not have."""
    if row not in p.encoders:
        raise ParamsError(f"there is no encoder {row!r} in params.yaml; choose from {', '.join(p.encoders)}")
    entry, sizes, sections = p.entry(row), p.sizes, p.sections(row)
    member = plugins.member_class("methods", entry.method, Method)
    training = {
        "policy": {"name": p.policy_of(row), **sections["policy"].model_dump(mode="json")},
        "optimizer": sections["optimizer"],
        "schedule": sections["schedule"],
        "epochs": entry.epochs or sizes.epochs,
        "batch_size": entry.batch_size or sizes.batch_size,
        "online_eval_every": sizes.online_eval_every,
        **p.model_dump(include={"device", "precision", "compile", "num_processes", "threads"}),
    }
    return Recipe(
        study=p.study,
        row=row,
        seed=p.seed,
        method={"name": entry.method, **sections["method"].model_dump()},
        backbone={"name": entry.backbone, **sections["backbone"].model_dump()},
        data=Data(
            primary=sizes.primary,
            protocol=p.protocol,
            fractions=sizes.fractions.model_dump(),
            image_size=getattr(p.source_params(sizes.primary), "image_size", CIFAR_SIZE),
        ),
        not_run=member.not_run(sections["method"]),
        code=code_of(entry.method, entry.backbone, trains=member.trains),
        **(training if member.trains else {}),
    )


def stage_settings(p: Params) -> dict[str, dict[str, Any]]:
    """By the name of its file, what each stage but `pretrain` needs of params.yaml, and the digest of its code."""
    sizes, seed, device = p.sizes, {"seed": p.seed}, {"device": p.device}
    fractions = sizes.fractions.model_dump()
    datasets = {"primary": sizes.primary, "transfer": sizes.transfer}
    sources = {role: p.datasets[name]["source"] for role, name in datasets.items()}
    settings: dict[str, dict[str, Any]] = {
        "split": {"protocol": p.protocol, **seed, "fractions": fractions},
        "features": device,
        "linear_eval": {**seed, **device, "probes": p.probes},
        "pair_loss": {**seed, **device, **p.pair_loss.model_dump()},
        "neighbors": {**seed, **p.neighbors.model_dump()},
        "judge": {**seed, **device, "linear": p.probes.get("linear", {}), "few_labels": p.few_labels.model_dump()},
        "fine_tune": {**seed, **device, "precision": p.precision, **p.fine_tuning.model_dump()},
        "transfer": {**seed, **device, **p.external_datasets.model_dump()},
        "register": {"datasets": datasets, "rows": p.rows},
        "report": {
            "study": p.study,
            **seed,
            "protocol": p.protocol,
            "datasets": datasets,
            "rows": p.rows,
            "judged": p.judged,
        }
        | {"sizes": {**sizes.model_dump(exclude={"encoders"}), "source": sources["primary"]}, "params": relevant(p)},
    }
    members = {"linear_eval": [plugins.module_name("probes", probe) for probe in p.probes]}
    members["judge"] = [plugins.module_name("probes", probe) for probe in ("linear", p.few_labels.probe)]
    members["transfer"] = [plugins.module_name("probes", "linear")]
    for role, name in datasets.items():
        about = {"dataset": name, "source": sources[role], "params": p.source_params(name).model_dump()}
        settings[f"download-{role}"] = {**about, "fraction": max(fractions.values()), **seed}
        parts = [str(part.get("source")) for part in p.datasets[name].get("parts", {}).values()]  # of joined datasets
        members[f"download-{role}"] = [plugins.module_name("sources", source) for source in (sources[role], *parts)]
    for name, values in settings.items():
        code = code_digest.digest(f"stages.{name.partition('-')[0]}", *members.get(name, ()))
        settings[name] = {**values, "code": code}
    settings["report"]["evaluated_by"] = {name: settings[name]["code"] for name in EVALUATES}
    return settings


def relevant(p: Params) -> dict[str, Any]:
    """What of params.yaml shapes this study: without other studies, datasets and rows, as written, without defaults."""
    others = {"data_placement", "checkpoint_every", "external_datasets"}
    values = p.model_dump(mode="json", exclude=others, exclude_unset=True)
    used = {"studies": {p.study}, "datasets": {p.sizes.primary, p.sizes.transfer}, "encoders": set(p.rows)}
    entries = list(map(p.entry, p.rows))
    used |= {f"{kind}s": {getattr(entry, kind) for entry in entries} for kind in ("method", "backbone")}
    used["policies"] = {name for row in p.rows if (name := p.policy_of(row))}
    if own := values["studies"][p.study].get("encoders"):
        own = {row: entry for row, entry in own.items() if row in p.rows}
        values["studies"] = {p.study: values["studies"][p.study] | {"encoders": own}}
    return {k: {n: v for n, v in value.items() if n in used[k]} if k in used else value for k, value in values.items()}


def write(values: Any, path: Path) -> None:
    """Write plain values as YAML; equal values give equal bytes."""
    with atomic.writing(path) as stream:
        stream.write(yaml.dumps(values).encode())
