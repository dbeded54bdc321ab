"""The subcommands of ``blupow-proxy``, a module each: ``add_parser`` and ``run``."""
