"""`python -m headstart`: the command line, also where its script is not on the PATH."""

from headstart.apps.cli.main import program

if __name__ == "__main__":
    program()
