"""A real cluster on one machine: etcd, PostgreSQL under Patroni and nodes, as processes.

programs     where the programs are: on the PATH, or in a wheel
ports, web   free ports, one HTTP request
processes    processes found again by a mark, and ended
daemon       one server: started, waited for, killed, paused
etcd, postgres    how each is started
"""
