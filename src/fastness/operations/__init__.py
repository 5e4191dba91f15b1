"""Backup, restore, export, import and verification."""
