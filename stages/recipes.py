"""recipes: params.yaml -> recipes/<study>/<row>.yaml, and what each other stage needs of it.

Every member that is named is imported and its interface checked, so that a mistake is told before anything runs.
"""

from stages import Paths, run
from vicreg.study import params, recipe


def main() -> None:
    """Validate params.yaml as a whole and resolve it into small files, on which the other stages depend."""
    p = params.load()
    paths = Paths(p.study)
    for row in p.rows:
        recipe.write(recipe.resolve(p, row).values(), paths.recipe(row))
    for stage, settings in recipe.stage_settings(p).items():
        recipe.write(settings, paths.settings(stage))
    print(f"study {p.study}: {', '.join(p.rows)}")


if __name__ == "__main__":
    run(main)
