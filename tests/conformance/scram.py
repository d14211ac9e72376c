"""The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding."""

import base64
import hashlib
import hmac
import os

METHOD = "SCRAM-SHA-256"


def _hmac(key, message):
    return hmac.digest(key, message, "sha256")


class Scram:
    """One exchange: first(), then final(the server's first message), then check(its final one)."""

    def __init__(self, user, password):
        self._password = password.encode()
        self._bare = f"n={user},r={base64.b64encode(os.urandom(18)).decode()}".encode()
        self._server_signature = b""

    def first(self):
        return b"n,," + self._bare

    def final(self, server_first):
        fields = dict(field.split(b"=", 1) for field in server_first.split(b","))
        assert fields[b"r"].startswith(self._bare.partition(b"r=")[2])
        salted = hashlib.pbkdf2_hmac("sha256", self._password, base64.b64decode(fields[b"s"]), int(fields[b"i"]))
        without_proof = b"c=biws,r=" + fields[b"r"]
        signed = b",".join((self._bare, server_first, without_proof))
        client_key = _hmac(salted, b"Client Key")
        signature = _hmac(hashlib.sha256(client_key).digest(), signed)
        self._server_signature = _hmac(_hmac(salted, b"Server Key"), signed)
        proof = bytes(one ^ other for one, other in zip(client_key, signature))
        return without_proof + b",p=" + base64.b64encode(proof)

    def check(self, server_final):
        assert base64.b64decode(server_final.removeprefix(b"v=")) == self._server_signature
