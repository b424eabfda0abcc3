"""The client and the servers in C: built each time, which takes a second."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parents[1] / "io_programs"
BUILD = Path("build", "benchmarks", "io_programs")
TLS = ["-DWITH_TLS", "-lssl", "-lcrypto"]


@dataclass(frozen=True)
class Programs:
    """Where they are; without TLS there is no certificate."""

    load: Path
    server: Path
    certificate: Path | None
    key: Path | None


def build() -> Programs:
    """Return the programs, built with TLS if OpenSSL's headers and command are here.

    Raises FileNotFoundError without a C compiler, CalledProcessError if it fails.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise FileNotFoundError("this benchmark needs a C compiler, and there is none")
    BUILD.mkdir(parents=True, exist_ok=True)
    certificate, key = BUILD / "certificate.pem", BUILD / "key.pem"
    has_tls = make_certificate(certificate, key)
    for name in ("load", "server"):
        has_tls = compile_one(compiler, name, TLS if has_tls else []) and has_tls
    found = has_tls or None
    return Programs(
        BUILD / "load", BUILD / "server", found and certificate, found and key
    )


def compile_one(compiler: str, name: str, tls: list[str]) -> bool:
    """Build one program; return False if that worked only without TLS."""
    command = [compiler, "-O2", "-o", str(BUILD / name), str(SOURCES / f"{name}.c")]
    if tls:
        done = subprocess.run([*command, *tls], check=False, capture_output=True)
        if done.returncode == 0:
            return True
    subprocess.run(command, check=True)
    return False


def make_certificate(certificate: Path, key: Path) -> bool:
    """Make a certificate that nobody trusts; return False if openssl is not here."""
    if certificate.exists() and key.exists():
        return True
    openssl = shutil.which("openssl")
    if openssl is None:
        return False
    command = [
        openssl,
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "3650",
    ]
    command += ["-subj", "/CN=localhost", "-out", str(certificate), "-keyout", str(key)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
