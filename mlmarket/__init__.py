"""Who will buy, who is leaving, and what should we do about it tonight?"""

__all__ = ["__version__"]

__version__ = "0.1.0"
