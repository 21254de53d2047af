"""``python -m mss_shared.new_paper NAME``: a package for the next paper, which passes all checks.

``templates/`` holds its files, a small U-Net on spectrograms as the network. A tool of the
repository: what tox, import-linter and the README list by hand gets its lines too.
"""
