"""History checkers and test tools, shipped because users need them too."""
