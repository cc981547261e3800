"""How does a night go, from raw tables to what is done in the morning?"""

from mlmarket.nightly.night import Night, NightSummary, open_night, run_night
from mlmarket.nightly.settings import NightSettings, load_settings
from mlmarket.nightly.stages import Progress, Silent

__all__ = [
    "Night",
    "NightSettings",
    "NightSummary",
    "Progress",
    "Silent",
    "load_settings",
    "open_night",
    "run_night",
]
