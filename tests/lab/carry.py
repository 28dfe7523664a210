# SPDX-License-Identifier: Apache-2.0
"""Finds the files that a command needs, for a lab machine that does not see the host's file system."""
import os
import re
import shutil
import subprocess


class Carried:
    """The files found so far: their paths, each once, in the order found."""

    def __init__(self):
        self.paths = {}

    def add(self, path):
        """A file with what it takes to run it, or a directory with all below it."""
        path = os.path.abspath(path)
        if os.path.isdir(path):
            for directory, subdirectories, names in os.walk(path):
                subdirectories.sort()
                for name in sorted(names):
                    self._add_file(os.path.join(directory, name))
        else:
            self._add_file(path)

    def add_command(self, argv):
        program = shutil.which(argv[0])
        if program:
            self.add(program)
        for argument in argv[1:]:
            # FILE, --option=FILE, and FILE,property and their mixtures
            for word in {argument, *re.split("[=,]", argument)}:
                if word and os.path.isfile(word):
                    self.add(word)

    def _add_file(self, path):
        if path in self.paths or not os.path.isfile(path):
            return
        self.paths[path] = None
        with open(path, "rb") as file:
            start = file.read(256)
        if start.startswith(b"\x7fELF"):
            self._add_libraries(path)
        elif start.startswith(b"#!"):
            self._add_interpreter(start[2:].split(b"\n")[0].decode(errors="replace").split())

    def _add_libraries(self, path):
        """The dynamic linker names them; it fails for static and foreign programs."""
        listing = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
        if listing.returncode:
            return
        for line in listing.stdout.splitlines():
            match = re.search(r"(/\S+) \(0x", line)
            if match:
                self._add_file(match[1])
        self._add_file("/etc/ld.so.cache")

    def _add_interpreter(self, words):
        if not words:
            return
        self._add_file(words[0])
        if os.path.basename(words[0]) == "env":
            names = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
            program = shutil.which(names[0]) if names else None
            if program:
                self._add_file(program)
