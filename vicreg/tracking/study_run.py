"""The run that all runs of a study are children of, so that MLflow's page folds them together."""

from vicreg.tracking.store import store, store_lock

STAGE = "study"  # the stage that a study's own run has as its tag
DESCRIPTION = """All runs of the study `{study}` lie below this one, whichever DVC experiment they belong to.

| what | where |
|:--|:--|
| ready-made lists | `Views` above the table of runs; sorted by a metric, runs stand side by side in the charts |
| runs of one kind | search for `tags.stage = 'pretrain'`, or `linear_eval`, `register`, `report` |
| ... of one encoder, dataset, probe, DVC experiment | `tags.encoder`, `tags.dataset`, `tags.probe`, `tags.experiment` |
| weights behind a number | the artifact `weights` of the run of stage `pretrain` with the same `tags.weights` |
| all numbers of a probe, its confusion matrix | the probe's artifact `result.json` |
| figures, tables, the page | the artifact `report` of the newest run of stage `report` |
| the data | each run's dataset: its digest is the fingerprint of the images in `data/{study}/` |
| the code | `tags.commit` |
| a model to use | the registered models `vicreg-{study}-...`, alias `best` |
"""


def find_or_create(uri: str, study: str) -> str:
    """The id of the study's run; the first of its runs makes it."""
    client, experiment_id = store(uri)
    query = f"tags.stage = '{STAGE}' and tags.study = '{study}'"
    with store_lock(uri):
        oldest = client.search_runs([experiment_id], query, max_results=1, order_by=["attributes.start_time ASC"])
        if oldest:
            return oldest[0].info.run_id
        tags = {"stage": STAGE, "study": study, "mlflow.note.content": DESCRIPTION.format(study=study)}
        created = client.create_run(experiment_id, run_name=study, tags=tags)
        client.set_terminated(created.info.run_id, "FINISHED")  # a study has no process that could end it
        return created.info.run_id
