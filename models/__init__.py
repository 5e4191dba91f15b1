"""Exhaustive models of protocols; see the README beside this file."""
