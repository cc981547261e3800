"""What does a night look like on a shop that everybody has?"""

import shutil
from datetime import date
from pathlib import Path
from typing import Final

from mlmarket.market.samples import sample_folder
from mlmarket.nightly.authoring import approve_journeys
from mlmarket.nightly.night import Night, open_night
from mlmarket.nightly.safe_files import writing

__all__ = ["DEMO_NIGHTS", "prepare_demo"]

DEMO_NIGHTS: Final = (date(2026, 5, 30), date(2026, 6, 23), date(2026, 6, 30))
"""A night whose promises have matured by the last one, one a week before it, and the last one."""


def prepare_demo(folder: Path) -> list[Night]:
    """Copy the sample shop and its configuration, and return the nights to run on it.

    Parameters
    ----------
    folder : Path
        Where; what a demo left there before is used again.

    Returns
    -------
    list of Night
        In order; the journeys are approved.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for source in sorted(sample_folder().rglob("*")):
            place = source.relative_to(sample_folder())
            if source.is_file() and place.parts[0] != "truth":
                (folder / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, folder / place)
    nights = [open_night(folder / "mlmarket.toml", day) for day in DEMO_NIGHTS]
    # A journey does nothing before somebody approves it; here that somebody is the demo.
    approve_journeys(nights[0], [], by="demo", at=nights[0].as_of)
    return nights
