"""The commands, one subject a module: each parses, calls and prints, and leaves the work to the packages below.

Modules here import at their top only what starts quickly; numpy, pyarrow and matplotlib come in where a command needs
them.
"""
