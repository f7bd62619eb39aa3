"""Click commands: parse, one library call, render. Nothing else prints or exits.

Modules here import click alone when they are imported; what a command needs, it imports when it runs.
"""
