"""``python -m mlmarket`` is the command line."""

from mlmarket.cli import main

if __name__ == "__main__":
    main()
