"""Published designs, one a file, each beginning with its paper's equations.

They stand on the shared parts (normalisation, tokens, decoders, cells) where those are equal to
what the paper or its official code has, and say where they are not. Each has a YAML with the
paper's own settings for ETTh1 in ``benchmark/configs/models/designs`` and is run as ``benchmark
run designs/NAME``.
"""
