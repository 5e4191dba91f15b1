"""A link shortener: FastAPI, the asynchronous client, several workers and one local server.

=========  =====================================================
`schema`   what is stored: links, and how often each was followed
`links`    the operations, each one transaction
`app`      the service over HTTP
=========  =====================================================
"""
