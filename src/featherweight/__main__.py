"""``python -m featherweight`` is the ``featherweight`` command."""

from featherweight.cli.main import main

if __name__ == "__main__":
    main()
