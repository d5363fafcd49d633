"""portrait: frozen representations -> results/<study>/portrait-<encoder>.json: neighbours, and a map."""

from stages import Paths, run, timed, write_json
from vicreg import blind, images, params, portrait


def main(name: str) -> None:
    """Find what the encoder NAME holds to be alike among the images of the first dataset."""
    p = params.load()
    p.encoder(name)
    paths = Paths(p.study)
    file = paths.features(name, "primary")
    with timed(p.study, f"portrait-{name}"):
        features = blind.load(file)
        result = {"encoder": name}
        if "not_run" in features:
            result |= {"not_run": str(features["not_run"])}
        else:
            labels = images.load_arrays(file, lambda array: array == blind.HIDDEN)[blind.HIDDEN]
            result |= portrait.portrait(features, labels, **p.portrait.model_dump(), seed=p.seed)
            print(f"of {result['nearest']} nearest images {result['agreement']:.1%} share the class", flush=True)
        write_json(paths.result(f"portrait-{name}"), result)


if __name__ == "__main__":
    run(main)
