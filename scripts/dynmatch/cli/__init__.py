"""The command `dynmatch`: one module per subcommand, which imports what it needs when it is run."""
