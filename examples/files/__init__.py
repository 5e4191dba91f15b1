"""A file-metadata service on Fastness's typed model. Begin with `service`, then `schema`.

=============  ===================================================================
`schema`       what is stored: users, spaces, entries, revisions, shares, changes
`service`      every operation in one place, with a short example
`spaces`       users, spaces, quotas, usage
`tree`         create, look up, list, write, move
`trash`        delete, restore, purge
`sharing`      roles of users in folders
`recording`    writes the journal
`journal`      what changed since a cursor
`errors`       what the service refuses
`demo`         a real directory tree loaded into it, and everything about it proved
=============  ===================================================================
"""
