"""representative_loss: full models x pairs of images -> results/<study>/representative_loss.json."""

from torch import nn

from stages import Paths, run, timed, write_json
from vicreg import encoder, images, params, representative
from vicreg.methods.vicreg import Objective
from vicreg.policy import Policy


def main() -> None:
    """Compute the loss between views, copies and different images, for every encoder that has a projector."""
    p = params.load()
    paths = Paths(p.study)
    weights = p.vicreg.model_dump(exclude={"projector_depth"})
    with timed(p.study, "representative_loss"):
        primary = images.load(paths.data("primary"))
        shown = primary.take(images.load_arrays(paths.data("split"))["primary/probe_test"])
        result = {}
        for name in p.encoders:
            if encoder.describe(paths.model(name)).get("not_run"):
                continue
            backbone, head = encoder.load(paths.model(name))
            if head is not None:
                result[name] = representative.evaluate(
                    nn.Sequential(backbone, head).eval(),
                    shown,
                    Objective(**weights),
                    Policy(**p.policies["aug"].model_dump()),
                    draws=p.representative_loss.draws,
                    others=p.representative_loss.others,
                    seed=p.seed,
                )
        write_json(paths.result("representative_loss"), {"computed": representative.COMPUTED, "encoders": result})


if __name__ == "__main__":
    run(main)
