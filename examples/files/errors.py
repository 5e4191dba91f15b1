"""What the files service refuses, cut by what its caller must tell the user.

These are refusals of the service, not failures of the database (`fastness.errors`): the
transaction is given up, nothing was changed, and trying again would be refused again. ::

    FilesError
    |-- NotFound         no such space, entry, path, user, share or revision
    |   |-- InTrash      it is there, but was deleted
    |   `-- Forgotten    the journal no longer reaches back that far
    |-- WrongKind        a folder where a file is needed, or the other way round
    |-- InvalidName      a name no entry can have
    |-- NameTaken        the folder already holds an entry of this name
    |-- WouldFormCycle   a folder would come to lie inside itself
    |-- OverQuota        the space would hold more bytes than it may
    |-- Outdated         the file has changed since the caller looked at it
    `-- Forbidden        the user's role does not allow it
"""

from __future__ import annotations


class FilesError(Exception):
    """Root of what the service refuses."""


class NotFound(FilesError):
    """No such space, entry, path, user, share or revision."""


class InTrash(NotFound):
    """The entry was deleted: restore it first."""


class Forgotten(NotFound):
    """The journal no longer reaches back to this cursor: begin with a listing."""


class WrongKind(FilesError):
    """The entry is of a kind that cannot do this."""


class InvalidName(FilesError):
    """A name no entry can have."""


class NameTaken(FilesError):
    """The folder already holds an entry of this name."""


class WouldFormCycle(FilesError):
    """A folder would come to lie inside itself."""


class OverQuota(FilesError):
    """The space would hold more bytes than it may."""


class Outdated(FilesError):
    """The entry has changed since the caller looked at it: look again."""


class Forbidden(FilesError):
    """The user's role does not allow it."""
