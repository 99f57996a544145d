"""The command line: one file a subcommand, ``options`` owns the flags, ``report`` the words."""
