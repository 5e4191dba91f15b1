"""Servers as real processes: Fastness and its peers, each on a free port below one folder.

    programs     where the program of each is: on the PATH, or in a wheel
    processes    one child process: started, waited for, stopped by its id
    postgresql, etcd, redis, fastness_server    how each is started

A server that cannot be had raises `Missing` with the reason, which the report then shows.
"""
