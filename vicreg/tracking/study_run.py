"""The run that all runs of a study are children of, so that MLflow's page folds them together."""

from pathlib import Path

from vicreg.tracking.store import store, store_lock


def find_or_create(uri: str, study: str) -> str:
    """The id of the study's run; the first of its runs makes it."""
    client, experiment_id = store(uri)
    query = f"tags.stage = 'study' and tags.study = '{study}'"
    with store_lock(uri):
        oldest = client.search_runs([experiment_id], query, max_results=1, order_by=["attributes.start_time ASC"])
        if oldest:
            return oldest[0].info.run_id
        note = Path(__file__).with_suffix(".md").read_text(encoding="utf-8").format(study=study)
        tags = {"stage": "study", "study": study, "mlflow.note.content": note}
        created = client.create_run(experiment_id, run_name=study, tags=tags)
        client.set_terminated(created.info.run_id, "FINISHED")  # a study has no process that could end it
        return created.info.run_id
