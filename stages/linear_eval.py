"""linear_eval: features x all probes -> results/<study>/linear_eval-<encoder>.json and the heads, a run per probe."""

import json
from typing import Any

from torch import nn

from stages import SLOTS, Paths, run, timed, write_json
from vicreg.engine import devices
from vicreg.evaluation import evaluate, probe_files, run_probe, sanity_check
from vicreg.io import weights
from vicreg.study import params
from vicreg.tracking import runs


def main(name: str) -> None:
    """Judge the frozen representations of the encoder NAME by every probe, on both datasets."""
    p = params.load()
    p.encoder(name)
    paths = Paths(p.study)
    device = devices.choose_device(p.device)
    with timed(p.study, f"linear_eval-{name}", devices.accelerator(device)):
        features = {slot: run_probe.load(paths.features(name, slot)) for slot in SLOTS}
        reasons = [str(found["not_run"]) for found in features.values() if "not_run" in found]
        if reasons:
            weights.save_not_run(paths.heads(name), reasons[0])
            write_json(paths.result(f"linear_eval-{name}"), {"encoder": name, "not_run": reasons[0]})
            return
        heads: dict[tuple[str, str], nn.Module] = {}
        datasets = {slot: about(p, slot, found) for slot, found in features.items()}
        for slot, found in features.items():
            for probe in p.probes.names():
                datasets[slot]["probes"][probe], heads[slot, probe] = judge(p, name, slot, probe, found, device)
        top1 = {slot: {probe: score["top1"] for probe, score in datasets[slot]["probes"].items()} for slot in SLOTS}
        judged = {"encoder": name, "weights": described(features["primary"])["digest"]["encoder"], "top1": top1}
        probe_files.save(paths.heads(name), heads, judged)
        write_json(paths.result(f"linear_eval-{name}"), {"encoder": name, "datasets": datasets})


def about(p: params.Params, slot: str, features: dict) -> dict[str, Any]:
    return {
        "key": getattr(p.sizes, slot),
        "name": str(features["name"]),
        "genuine": bool(features["genuine"]),
        "classes": len(features["classes"]),
        "train": len(features["probe_train"]),
        "test": len(features["probe_test"]),
        "probes": {},
    }


def described(features: dict) -> dict[str, Any]:
    """What the file of weights that made these features says of itself."""
    return dict(json.loads(str(features["description"])))


def judge(p: params.Params, name: str, slot: str, probe: str, features: dict, device) -> tuple[dict, nn.Module]:
    """Judge one encoder by one probe on one dataset, as an MLflow run."""
    settings, dataset, origin = p.probes.section(probe), str(features["name"]), described(features)
    with runs.run(
        f"{name} {probe} {getattr(p.sizes, slot)}",
        stage="linear_eval",
        study=p.study,
        encoder=name,
        dataset=dataset,
        probe=probe,
        fingerprint=str(features["fingerprint"]),
        weights=origin["digest"]["encoder"],
        params={**origin, probe: settings},
    ) as tracked:
        path = Paths(p.study).features(name, slot)
        result, head = evaluate.judge(probe, settings, features, path, seed=p.seed, device=device)
        for point in result["curve"] or [{"epoch": 0, **result}]:
            tracked.metrics({key: point[key] for key in ("top1", "top5")}, point["epoch"])
        tracked.metrics({key: result[key] for key in ("top1_low", "top1_high")})
        chosen = {key: value for key, value in result["settings"].items() if value != settings.get(key)}
        tracked.metrics({f"chosen/{key}": value for key, value in chosen.items() if isinstance(value, (int, float))})
        tracked.text(json.dumps(result, indent=1), "result.json")
        print(f"{dataset}: {probe}: top-1 {result['top1']:.1%}, top-5 {result['top5']:.1%}", flush=True)
        if result["at_chance"]:
            print(sanity_check.warning(probe, result, len(features["classes"])), flush=True)
    return result, head


if __name__ == "__main__":
    run(main)
