"""`python -m scheduler.cli`: the command without an installed script."""

from scheduler.cli.main import main

main()
