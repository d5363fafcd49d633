"""portrait: frozen representations -> results/<study>/portrait-<encoder>.json: neighbours, and a map."""

from stages import Paths, run, timed, write_json
from vicreg.data import images
from vicreg.evaluation import neighbors, run_probe
from vicreg.study import params


def main(name: str) -> None:
    """Find what the encoder NAME holds to be alike among the images of the first dataset."""
    p = params.load()
    p.encoder(name)
    paths = Paths(p.study)
    file = paths.features(name, "primary")
    with timed(p.study, f"portrait-{name}"):
        features = run_probe.load(file)
        result = {"encoder": name}
        if "not_run" in features:
            result |= {"not_run": str(features["not_run"])}
        else:
            labels = images.load_arrays(file, lambda array: array == run_probe.HIDDEN)[run_probe.HIDDEN]
            result |= neighbors.portrait(features, labels, **p.portrait.model_dump(), seed=p.seed)
            print(f"of {result['nearest']} nearest images {result['agreement']:.1%} share the class", flush=True)
        write_json(paths.result(f"portrait-{name}"), result)


if __name__ == "__main__":
    run(main)
