"""Configuration of a Superset under test; `run` says in the environment where it lives.

Endpoints of the sandbox are host names that no name server knows. A file says which local address
stands for which cluster; it is read anew each time, so that a cluster can die or be rebuilt.
"""

import json
import os
import socket

import pymysql

# SQL Lab imports MySQLdb whatever the URI says.
pymysql.install_as_MySQLdb()

HOME = os.environ["SUPERSET_HOME"]
SECRET_KEY = "for-tests-only-0123456789abcdef0123456789abcdef"
SQLALCHEMY_DATABASE_URI = f"sqlite:///{HOME}/superset.db?check_same_thread=false"

_resolve = socket.getaddrinfo


def _getaddrinfo(host, *arguments, **more):
    name = host.decode() if isinstance(host, bytes) else host
    if isinstance(name, str) and name.endswith(".rds.amazonaws.com"):
        with open(os.environ["SUPERSET_HOSTS"], encoding="utf-8") as hosts:
            address = json.load(hosts).get(name.split(".")[0])
        if address is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        host = address
    return _resolve(host, *arguments, **more)


socket.getaddrinfo = _getaddrinfo
