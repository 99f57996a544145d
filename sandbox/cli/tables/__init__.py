"""The flags and help of commands about images, containers, networks, CI, OCI and builds: one table a family.

A table has FLAGS (command -> options), SUBCOMMANDS (command -> subcommand -> (words, one line)) and SUBFLAGS (command
-> subcommand -> options), PROGRAMS (commands that take options, and then a program with its arguments), and for help
USAGE, ABOUT and EXAMPLES by command. ``flags`` and ``help`` put them together, for parsing, help and completion.
"""
