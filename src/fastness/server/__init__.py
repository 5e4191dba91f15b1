"""The server program around a node: `fastness serve`.

A `node.Node` knows nothing of sockets, tokens, files or signals. This package gives it those:

::

    settings, sources, rules      one schema of configuration, and where each value came from
    tokens, token_file            who may come in; hashed at rest
    authentication, access        what a connection is granted, and the account it is kept under
    gate, reach, rates            each request held against the grant: role, key space, rates
    figures, latencies, helps     what is measured; exposition: how Prometheus is told
    http, http_errors, admin      HTTP on the node's own loop: health, metrics, status
    gateway/                      the database over HTTP and JSON
    logs                          events with named values
    program                       all of it started, reloaded, drained and stopped; its parts:
    doors, certificates           where clients come in, and TLS
    pulse, systemd, token_watch   the loop's pulse, word to systemd, changes of the token file
"""
