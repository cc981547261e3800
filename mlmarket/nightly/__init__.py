"""How does a night go, from raw tables to what is done in the morning?"""

from mlmarket.nightly.demo import prepare_demo
from mlmarket.nightly.models import ModelStore
from mlmarket.nightly.night import Night, open_night, tonight
from mlmarket.nightly.person import PersonReport, explain_person
from mlmarket.nightly.preview import dry_run, readiness
from mlmarket.nightly.run import NightSummary, run_night
from mlmarket.nightly.settings import NightSettings, load_settings
from mlmarket.nightly.stages import Progress, Silent
from mlmarket.nightly.starter import guess_columns, write_starter
from mlmarket.nightly.upkeep import backfill, prune, runs
from mlmarket.nightly.workspace import Workspace

__all__ = [
    "ModelStore",
    "Night",
    "NightSettings",
    "NightSummary",
    "PersonReport",
    "Progress",
    "Silent",
    "Workspace",
    "backfill",
    "dry_run",
    "explain_person",
    "guess_columns",
    "load_settings",
    "open_night",
    "prepare_demo",
    "prune",
    "readiness",
    "run_night",
    "runs",
    "tonight",
    "write_starter",
]
