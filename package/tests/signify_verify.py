"""Verifies a driver package with signify: the signatures of the images and of the catalog, and that the catalog vouches for the
INF and the driver. Trusts nothing but the package's own certificate. Usage: signify_verify.py DIRECTORY NAME"""

import pathlib
import re
import sys

# oscrypto, which signify computes with, looks for OpenSSL's version by a pattern that knows versions of one digit only: 3.0.19 is
# none for it. The pattern is used while the module is loaded, nowhere else.
ONE_DIGIT = r"\b(\d\.\d\.\d[a-z]*)\b"
ANY_DIGITS = r"\b(\d+\.\d+\.\d+[a-z]*)\b"
search = re.search
re.search = lambda pattern, *rest: search(ANY_DIGITS if pattern == ONE_DIGIT else pattern, *rest)
import oscrypto.asymmetric  # noqa: E402, F401

re.search = search

from signify.authenticode import CertificateTrustList  # noqa: E402
from signify.authenticode.signed_file import FlatFile, SignedPEFile  # noqa: E402
from signify.x509 import Certificate, CertificateStore  # noqa: E402


def main(directory: pathlib.Path, name: str) -> None:
    certificate = Certificate.from_der((directory / f"{name}.cer").read_bytes())
    trusted = CertificateStore([certificate], trusted=True)
    catalog = CertificateTrustList.from_envelope((directory / f"{name}.cat").read_bytes())

    catalog.verify(trusted_certificate_store=trusted)
    print(f"{name}.cat: signature")
    for image in (f"{name}.sys", "eductl.exe"):
        with (directory / image).open("rb") as file:
            SignedPEFile(file).verify(signature_types="embedded", trusted_certificate_store=trusted)
        print(f"{image}: embedded signature")
    for listed, kind in ((f"{name}.sys", SignedPEFile), (f"{name}.inf", FlatFile)):
        with (directory / listed).open("rb") as file:
            opened = kind(file)
            opened.add_catalog(catalog, check=True)
            opened.verify(signature_types="catalog", trusted_certificate_store=trusted)
        print(f"{listed}: in the catalog")


if __name__ == "__main__":
    try:
        main(pathlib.Path(sys.argv[1]), sys.argv[2])
    except Exception as error:  # whatever it is, the package is not verified
        sys.exit(f"{type(error).__name__}: {error}")
