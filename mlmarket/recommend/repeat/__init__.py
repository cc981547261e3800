"""What comes back, and what is new?"""

from mlmarket.recommend.repeat.demand import DemandFeatures
from mlmarket.recommend.repeat.features import RepeatFeatures
from mlmarket.recommend.repeat.heads import RepeatAndNew
from mlmarket.recommend.repeat.proposals import own_and_new
from mlmarket.recommend.repeat.returning import Returning

__all__ = ["DemandFeatures", "RepeatAndNew", "RepeatFeatures", "Returning", "own_and_new"]
