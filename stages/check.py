"""check: params.yaml as a whole, so that a key which no stage reads is an error and not a silent nothing."""

from stages import run
from vicreg.study import params


def main() -> None:
    """Validate every parameter."""
    p = params.load()
    print(f"study {p.study}: {', '.join(p.encoders)}")


if __name__ == "__main__":
    run(main)
