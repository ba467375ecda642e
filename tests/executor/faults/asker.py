"""A process that looks names up: told on standard input, a JSON object a line; says what it was answered.

``python asker.py --name=NAME [USER]``: as that user, by number. ``keep``: by one socket for all, as some resolvers do.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time

from dnslib import QTYPE, RCODE, DNSRecord

kept: dict[str, socket.socket] = {}


def ask(name: str, server: str, kind: str = "A", timeout_s: float = 20.0, keep: bool = False) -> dict[str, object]:
    line = kept.get(server) if keep else None
    if line is None:
        line = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
        line.connect((server, 53))
        if keep:
            kept[server] = line
    line.settimeout(timeout_s)
    asked = DNSRecord.question(name, kind)
    began = time.monotonic()
    try:
        line.send(asked.pack())
        while (answer := DNSRecord.parse(line.recv(65535))).header.id != asked.header.id:
            pass  # one that came too late for an earlier look-up
    except OSError as error:
        return {"code": type(error).__name__, "data": [], "s": time.monotonic() - began}
    finally:
        if not keep:
            line.close()
    data = [str(record.rdata) for record in answer.rr if QTYPE[record.rtype] == kind]
    return {"code": RCODE[answer.header.rcode], "data": data, "s": time.monotonic() - began}


if __name__ == "__main__":
    DNSRecord.question("warm.test").pack()  # loaded now: the other user may not be allowed to read the libraries
    for user in sys.argv[2:]:
        os.setuid(int(user))
    for told in sys.stdin:
        print(json.dumps(ask(**json.loads(told))), flush=True)
