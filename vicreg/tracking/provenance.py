"""Where a run comes from: the DVC experiment and the git commit it is based on."""

import os
import subprocess
from pathlib import Path

from vicreg.tracking.store import WORKSPACE, repository


def provenance() -> dict[str, str]:
    """Tags of a run: `experiment`, "workspace" outside of experiments, and `commit` where there is one."""
    tags = {"experiment": os.environ.get("DVC_EXP_NAME") or WORKSPACE}
    head = os.environ.get("DVC_EXP_BASELINE_REV") or git("rev-parse", "--verify", "HEAD", folder=repository())
    return tags | ({"commit": head, "mlflow.source.git.commit": head} if head else {})


def git(*arguments: str, folder: Path = Path()) -> str | None:
    """What git prints in a folder; None where it fails, or is not there."""
    try:
        return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=True).stdout.decode().strip()
    except (OSError, subprocess.CalledProcessError, ValueError):  # the last for a name with a null character
        return None
