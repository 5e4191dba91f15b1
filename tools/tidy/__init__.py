"""Rules of the house that no linter knows, each with what to do instead.

A check is a function of a path and a text that returns findings; it reads nothing itself, so
its test hands it a planted violation. `repository` says which check reads which file::

    python -m tools.tidy            every finding of this checkout, exit 1 if there is one

=============  ==========================================================================
`source`       one Python file: sizes, docstrings, names, imports, swallowed errors
`tests_only`   one test file: no sleeps, no mocks, a goal for each test
`text`         any text file: unfinished work, machine paths, registries, broken links
`project`      what must agree across files: dependencies, lock, changelog, error tree
=============  ==========================================================================
"""
