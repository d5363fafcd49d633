"""linear_eval: features x all probes -> results/<study>/linear_eval-<encoder>.json, a run per probe."""

import json
import time

from stages import SLOTS, Paths, run, timed, write_json
from vicreg import blind, chance, devices, intervals, params, tracking


def main(name: str) -> None:
    """Judge the frozen representations of the encoder NAME by every probe, on both datasets."""
    p = params.load()
    p.encoder(name)
    paths = Paths(p.study)
    device = devices.choose_device(p.device)
    result: dict = {"encoder": name, "datasets": {}}
    with timed(p.study, f"linear_eval-{name}", devices.accelerator(device)):
        for slot in SLOTS:
            features = blind.load(paths.features(name, slot))
            if "not_run" in features:
                result = {"encoder": name, "not_run": str(features["not_run"])}
                break
            result["datasets"][slot] = {
                "key": getattr(p.sizes, slot),
                "name": str(features["name"]),
                "genuine": bool(features["genuine"]),
                "classes": len(features["classes"]),
                "train": len(features["probe_train"]),
                "test": len(features["probe_test"]),
                "probes": {probe: judge(p, name, slot, probe, features, device) for probe in p.probes.names()},
            }
        write_json(paths.result(f"linear_eval-{name}"), result)


def judge(p: params.Params, name: str, slot: str, probe: str, features: dict, device) -> dict:
    settings = p.probes.section(probe)
    dataset = str(features["name"])
    with tracking.run(
        f"{probe} {name} {dataset}",
        stage="linear_eval",
        study=p.study,
        encoder=name,
        dataset=dataset,
        probe=probe,
        fingerprint=str(features["fingerprint"]),
        params={**json.loads(str(features["description"])), probe: settings},
    ) as tracked:
        start = time.perf_counter()
        guesses, chosen = blind.guess(probe, features, settings, seed=p.seed, device=device)
        labels = blind.revealed(Paths(p.study).features(name, slot), features, guesses)
        score = intervals.score(guesses, labels, p.seed)
        seconds = round(time.perf_counter() - start, 2)
        score = chance.cleared(score, probe, settings, features, seed=p.seed, device=device)
        for point in score["curve"] or [{"epoch": 0, **score}]:
            tracked.metrics({key: point[key] for key in ("top1", "top5")}, point["epoch"])
        tracked.metrics({key: score[key] for key in ("top1_low", "top1_high")})
        tracked.metrics({f"chosen/{key}": value for key, value in chosen.items() if isinstance(value, (int, float))})
        print(f"{dataset}: {probe}: top-1 {score['top1']:.1%}, top-5 {score['top5']:.1%}", flush=True)
        if score["at_chance"]:
            print(chance.warning(probe, score, len(features["classes"])), flush=True)
    return {**score, "settings": {**settings, **chosen}, "seconds": seconds}


if __name__ == "__main__":
    run(main)
