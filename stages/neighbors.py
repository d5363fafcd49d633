"""neighbors: frozen features -> results/<study>/neighbors-<row>.json: nearest images, and a map."""

from stages import paths, run, settings, timed, write_json
from vicreg.evaluation import features
from vicreg.evaluation.neighbors import compare_neighbors


def main(row: str) -> None:
    """Find what the encoder of the row ROW holds to be alike among the images of the first dataset."""
    files, numbers = paths(), {key: settings("neighbors")[key] for key in ("images", "points", "seed")}
    file = files.features(row, "primary")
    with timed(f"neighbors-{row}"):
        if reason := features.not_run(file):
            result = {"not_run": reason}
        else:
            result = compare_neighbors(features.load_features(file), **numbers)
            print(f"of {result['nearest']} nearest images {result['agreement']:.1%} share the class", flush=True)
        write_json(files.result(f"neighbors-{row}"), {"encoder": row, **result})


if __name__ == "__main__":
    run(main)
