"""Where a run comes from: the DVC experiment and the git commit it is based on."""

import os
import subprocess

from vicreg.tracking.store import repository


def provenance() -> dict[str, str]:
    """Tags of a run: `experiment`, "workspace" outside of experiments, and `commit` where there is one."""
    tags = {"experiment": os.environ.get("DVC_EXP_NAME") or "workspace"}
    if commit := os.environ.get("DVC_EXP_BASELINE_REV") or git_commit():
        tags |= {"commit": commit, "mlflow.source.git.commit": commit}
    return tags


def git_commit() -> str | None:
    """The checked-out commit; None without git, a repository or a commit."""
    command = ["git", "rev-parse", "--verify", "HEAD"]
    try:
        return subprocess.run(command, cwd=repository(), capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
