"""A throw-away CA with a server's and a client's certificate, made by openssl once."""

import subprocess

from .paths import CACHE

PASSWORD = "secret"


def _openssl(*args, **kw):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, **kw)


def certificates():
    """The folder with ca.pem, {server,client}.{pem,key,p12} and {server,client}-all.pem."""
    folder = CACHE / "certs"
    done = folder / "done"
    if done.exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650",
             "-subj", "/CN=e2e CA", "-keyout", folder / "ca.key", "-out", folder / "ca.pem")
    for name in ("server", "client"):
        key, csr, pem = (folder / f"{name}.{ext}" for ext in ("key", "csr", "pem"))
        _openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
                 "-keyout", key, "-out", csr)
        _openssl("x509", "-req", "-in", csr, "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key",
                 "-CAcreateserial", "-days", "3650", "-out", pem, "-extfile", "/dev/stdin",
                 input=b"subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        (folder / f"{name}-all.pem").write_text(key.read_text() + pem.read_text())
    done.write_text("")
    return folder
