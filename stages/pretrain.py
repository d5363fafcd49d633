"""pretrain: one entry of `encoders` -> models/<study>/<encoder>.safetensors, and the history of its training."""

from stages import Paths, run, show, timed, write_json
from vicreg import devices, encoder, images, online, params, recipe, tracking


def main(name: str) -> None:
    """Pretrain NAME, an entry of `encoders` in params.yaml."""
    p = params.load()
    paths, file = Paths(p.study), Paths(p.study).model(name)
    device = devices.choose_device(p.device)
    with timed(p.study, f"pretrain-{name}", devices.accelerator(device)):
        if reason := p.not_run(name):
            encoder.save_not_run(file, reason)
            write_json(paths.result(f"pretrain-{name}"), {"encoder": name, "not_run": reason})
            return
        primary, split = images.load(paths.data("primary")), images.load_arrays(paths.data("split"))
        seen, looked_at = primary.take(split["primary/pretrain"]), primary.take(split["primary/probe_train"])
        method = recipe.build(p, name, seen.pixels)
        result = {"encoder": name, "dataset": primary.name, "genuine": primary.genuine, "images": len(seen)}
        result |= {"history": [], "online": []}
        if recipe.learns(p, name):
            train(p, name, method, seen, looked_at, device, result)
        else:
            encoder.save(file, method, recipe.describe(p, name))
        write_json(paths.result(f"pretrain-{name}"), result)


def train(p, name, method, seen, looked_at, device, result) -> None:
    about = {"study": p.study, "encoder": name, "dataset": result["dataset"]}
    fingerprint = images.fingerprint(seen.pixels, seen.labels)
    every = p.sizes.online_every
    file = Paths(p.study).model(name)
    with tracking.run(
        f"pretrain {name}", stage="pretrain", **about, fingerprint=fingerprint, params=recipe.describe(p, name)
    ) as tracked:
        for record in recipe.train(p, name, method, seen.pixels, device):
            epoch = int(record["epoch"])
            result["history"].append(record)
            if every and (epoch % every == 0 or epoch == p.sizes.epochs):
                accuracy = online.evaluate(method.encoder, looked_at, p.seed, device)
                result["online"].append({"epoch": epoch, **accuracy})
                tracked.metrics({f"online/{key}": value for key, value in accuracy.items()}, epoch)
            tracked.metrics({key: value for key, value in record.items() if key != "epoch"}, epoch)
            show(record, result["online"], p.sizes.epochs)
        encoder.save(file, method, recipe.describe(p, name))
        tracked.artifact(file, "weights")


if __name__ == "__main__":
    run(main)
