"""Teams and their members: Django, synchronous views in threads, forked workers, one local server.

==============  ============================================================
`schema`        what is stored: people, teams, memberships
`teams`         the operations, each one transaction
`database`      one database for each process, opened at its first use
`views`, `urls` the service over HTTP
`middleware`    answers for errors of the database
`settings`      Django's settings, `FASTNESS_URL` above all
`wsgi`          what gunicorn runs
==============  ============================================================
"""
