"""The field's known mistakes, made on purpose, to measure what each is worth.

Nothing but the command line imports this room (`lint-imports` sees to it), so no run, suite or
table of the benchmark can come by one of them.
"""
