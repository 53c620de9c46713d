"""What is read from a system and its programs, and the document made of it."""

import json
import unittest

from deploy.docker import sbom

_STATUS = """Package: libpq5
Status: install ok installed
Architecture: amd64
Version: 15.13-0+deb12u1
Description: a library
 Version: of a description is not a version

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2025b-0+deb12u1
"""
_MODULES = """/bin/tofu: go1.26.6
\tpath\tgithub.com/opentofu/opentofu/cmd/tofu
\tmod\tgithub.com/opentofu/opentofu\tv1.12.6\th1:abc=
\tdep\tgithub.com/hashicorp/hcl/v2\tv2.20.1\t
\t=>\tgithub.com/opentofu/hcl/v2\tv2.20.2\th1:def=
\tdep\tgolang.org/x/net\tv0.40.0\th1:ghi=
\tbuild\t-trimpath=true
"""


def _document():
    document = sbom.Document("registry/coderd-api", "1.2.3", "2026-01-31T10:00:00Z")
    document.add_packages(sbom.read_packages(_STATUS))
    document.add_program("coderd-api", "1.2.3", b"content", built_with=[sbom.Package("libabsl-dev", "20220623.1-1", "amd64")])
    document.add_program("tofu", "1.12.6", b"other", modules=sbom.read_modules(_MODULES))
    return document.text()


class SbomTest(unittest.TestCase):
    def test_installed_packages_are_read_and_removed_ones_are_not(self):
        self.assertEqual(sbom.read_packages(_STATUS), [sbom.Package("libpq5", "15.13-0+deb12u1", "amd64"),
                                                       sbom.Package("tzdata", "2025b-0+deb12u1", "all")])

    def test_a_replaced_module_is_named_by_its_replacement(self):
        self.assertEqual(sbom.read_modules(_MODULES), [
            ("github.com/opentofu/opentofu", "v1.12.6"), ("github.com/opentofu/hcl/v2", "v2.20.2"), ("golang.org/x/net", "v0.40.0")])

    def test_every_component_is_there_once_and_every_reference_leads_to_one(self):
        document = json.loads(_document())
        references = [component["bom-ref"] for component in document["components"]]
        self.assertEqual(len(references), 8)
        self.assertEqual(len(set(references)), len(references))
        known = {*references, document["metadata"]["component"]["bom-ref"]}
        self.assertEqual({row["ref"] for row in document["dependencies"]}, known)
        for row in document["dependencies"]:
            self.assertLessEqual(set(row["dependsOn"]), known)

    def test_packages_have_the_names_scanners_know(self):
        found = {component.get("purl") for component in json.loads(_document())["components"]}
        self.assertIn("pkg:deb/debian/libpq5@15.13-0%2Bdeb12u1?arch=amd64&distro=debian-12", found)
        self.assertIn("pkg:golang/github.com/opentofu/hcl/v2@v2.20.2", found)

    def test_the_same_image_has_the_same_document(self):
        self.assertEqual(_document(), _document())


if __name__ == "__main__":
    unittest.main()
