"""Certificates for one run of the tests, made with the openssl tool."""

import subprocess
from pathlib import Path
from typing import NamedTuple

# Of `openssl ca`, which alone can date a certificate back.
CA_SECTION = """
[ca]
default_ca = own
[own]
database = {folder}/index.txt
new_certs_dir = {folder}
serial = {folder}/serial
policy = any
default_md = sha256
[any]
commonName = supplied
"""


def openssl(*args, **options):
    return subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, text=True, **options)


class Pair(NamedTuple):
    certificate: Path
    key: Path


class Authority:
    """Signs certificates, into files of `folder`."""

    def __init__(self, folder, name="test authority"):
        self.folder = folder / name.replace(" ", "-")
        self.folder.mkdir()
        self.certificate = self.folder / "ca.crt"
        self._key = self.folder / "ca.key"
        self._config = self.folder / "ca.cnf"
        self._config.write_text(CA_SECTION.format(folder=self.folder))
        (self.folder / "index.txt").touch()
        (self.folder / "index.txt.attr").write_text("unique_subject = no\n")
        (self.folder / "serial").write_text("1000\n")
        openssl(
            *"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split(),
            *("-subj", f"/CN={name}", "-keyout", self._key, "-out", self.certificate),
        )

    def issue(self, common_name, file=None, hosts=("DNS:localhost", "IP:127.0.0.1"), expired=False):
        file = file or common_name
        pair = Pair(self.folder / f"{file}.crt", self.folder / f"{file}.key")
        request = self.folder / f"{file}.csr"
        extensions = self.folder / f"{file}.ext"
        extensions.write_text(f"subjectAltName = {','.join(hosts)}\n")
        openssl(
            *"req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes".split(),
            *("-subj", f"/CN={common_name}", "-keyout", pair.key, "-out", request),
        )
        dates = "-startdate 20200101000000Z -enddate 20200201000000Z" if expired else "-days 2"
        openssl(
            *("ca", "-batch", "-notext", "-config", self._config, "-extfile", extensions, *dates.split()),
            *("-cert", self.certificate, "-keyfile", self._key, "-in", request, "-out", pair.certificate),
        )
        return pair
