"""Runs ranges over a store: performs the effects the state machine asks for."""
