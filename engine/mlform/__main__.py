"""``python -m mlform``."""

from mlform.cli import main

if __name__ == "__main__":
    main()
