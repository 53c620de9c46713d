"""What is in an image, as a CycloneDX document: Debian's packages, our program and what it was built from, Go modules."""

import collections
import hashlib
import json
import urllib.parse
import uuid

# A Debian package as dpkg tells it.
Package = collections.namedtuple("Package", "name version architecture")


def read_packages(text):
    """The installed packages of a dpkg status file, or of several one after the other."""
    found = []
    for paragraph in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and not line.startswith(" "))
        if fields.get("Status", "").endswith(" installed"):
            found.append(Package(fields["Package"], fields["Version"], fields["Architecture"]))
    return sorted(set(found))


def read_modules(text):
    """(path, version) of the modules that `go version -m` finds in a program."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 3 and words[0] in ("mod", "dep"):
            found.append((words[1], words[2]))
        elif len(words) >= 3 and words[0] == "=>":
            found[-1] = (words[1], words[2])
    return found


def _quote(text):
    return urllib.parse.quote(text, safe="")


def _of_package(package, scope="required"):
    purl = f"pkg:deb/debian/{_quote(package.name)}@{_quote(package.version)}?arch={package.architecture}&distro=debian-12"
    return {"type": "library", "bom-ref": purl, "name": package.name, "version": package.version, "purl": purl, "scope": scope}


def _of_module(path, version):
    purl = f"pkg:golang/{urllib.parse.quote(path, safe='/')}@{_quote(version)}"
    return {"type": "library", "bom-ref": purl, "name": path, "version": version, "purl": purl}


def _of_program(name, version, content):
    digest = hashlib.sha256(content).hexdigest()
    return {"type": "application", "bom-ref": f"program:{name}", "name": name, "version": version,
            "hashes": [{"alg": "SHA-256", "content": digest}]}


class Document:
    """The document of one image, filled part by part."""

    def __init__(self, image, version, made):
        """`made` is a time in ISO 8601, of the sources rather than of the clock so that the same sources make the same text."""
        self._image = {"type": "container", "bom-ref": f"image:{image}", "name": image, "version": version}
        self._made = made
        self._components = {}
        self._needs = collections.defaultdict(set)

    def _add(self, component, of):
        self._components.setdefault(component["bom-ref"], component)
        self._needs[of].add(component["bom-ref"])
        return component["bom-ref"]

    def add_packages(self, packages):
        """Debian packages in the image."""
        for package in packages:
            self._add(_of_package(package), self._image["bom-ref"])

    def add_program(self, name, version, content, built_with=(), modules=()):
        """A program in the image; `built_with` are packages whose headers are compiled into it, `modules` those of Go."""
        program = self._add(_of_program(name, version, content), self._image["bom-ref"])
        for package in built_with:
            self._add(_of_package(package), program)
        for module in modules:
            self._add(_of_module(*module), program)

    def text(self):
        """The document as JSON."""
        components = [self._components[key] for key in sorted(self._components)]
        references = [self._image["bom-ref"], *sorted(self._components)]
        body = {
            "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
            "metadata": {"timestamp": self._made, "component": self._image},
            "components": components,
            "dependencies": [{"ref": reference, "dependsOn": sorted(self._needs.get(reference, ()))} for reference in references],
        }
        serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body, sort_keys=True))
        return json.dumps({**body, "serialNumber": f"urn:uuid:{serial}"}, indent=1) + "\n"
