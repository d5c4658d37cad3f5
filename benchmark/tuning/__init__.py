"""The search for a configuration: by validation alone, kept in a file, written as a YAML."""
