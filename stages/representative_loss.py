"""representative_loss: a full model x pairs of images -> results/<study>/representative_loss-<encoder>.json."""

from torch import nn

from stages import Paths, run, timed, write_json
from vicreg.augment.policy import Policy
from vicreg.data import images
from vicreg.engine import devices
from vicreg.evaluation import pair_loss
from vicreg.methods.vicreg import Objective
from vicreg.nn import encoder
from vicreg.study import params


def main(name: str) -> None:
    """Compute the loss between views, copies and different images by the encoder NAME, if it has a projector."""
    p = params.load()
    p.encoder(name)
    paths, file = Paths(p.study), Paths(p.study).model(name)
    device = devices.choose_device(p.device)
    result: dict = {"encoder": name, "computed": pair_loss.COMPUTED}
    with timed(p.study, f"representative_loss-{name}", devices.accelerator(device)):
        frozen = None if encoder.describe(file).get("not_run") else encoder.load(file)
        head = encoder.load_projector(file, frozen.dimension) if frozen else None
        if frozen and head:
            primary, split = images.load(paths.data("primary")), images.load_arrays(paths.data("split"))
            result |= pair_loss.evaluate(
                nn.Sequential(frozen, head),
                primary.take(split["primary/probe_test"]),
                Objective(**p.vicreg.model_dump(exclude={"projector_depth"})),
                Policy(**p.policies[p.encoders[name].policy].model_dump()),
                **p.representative_loss.model_dump(),
                seed=p.seed,
                device=device,
            )
        write_json(paths.result(f"representative_loss-{name}"), result)


if __name__ == "__main__":
    run(main)
