"""The HTTP/JSON gateway: the database for languages that have no client of their own.

::

    gateway                       from a request to the client that does it, and back
    routes                        every path, with the types of what is asked and answered
    documents, operations         those types
    strict_json                   JSON of strangers, read by the letter
    encodings, timestamps         bytes and large numbers in JSON
    openapi                       the description of all of it, made of the routes
    calls                         one request as its handler sees it
    keys, records                 reading
    transactions, record_writes   writing, all in one transaction; shortcuts: by paths of their own
    clients                       one client of the own node for each token
    serving, counts               all of it, listening; and what it has done

`docs/HTTP.md` is its manual.
"""

from fastness.server.gateway.counts import GatewayCounts
from fastness.server.gateway.serving import GatewayServer, serve_gateway

__all__ = ["GatewayCounts", "GatewayServer", "serve_gateway"]
