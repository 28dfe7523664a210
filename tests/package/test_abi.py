#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The binary interface of libhusk and libhusk-pod is what their headers say, and what it was.

- each shared library exports the functions that its header declares and nothing else, and the archive
  defines no other global name;
- each public header compiles alone, as strict C and as C++, with the _INIT macros used;
- enumerators, prototypes, and the sizes and offsets of all structs are those of abi-x86_64.txt. What
  a program was compiled with must stay: add members at the end of a struct that has a size, and
  enumerators and functions at the end of the list. Then `test_abi.py --update` writes the new list.

Needs INCLUDE (the directory of the headers) and LIB (of the libraries) in its environment, CC and CXX
(empty: there is none).
"""
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import e2e  # pylint: disable=wrong-import-position

HERE = pathlib.Path(__file__).resolve().parent
INCLUDE = pathlib.Path(os.environ.get("INCLUDE", HERE.parents[1] / "include"))
LIB = pathlib.Path(os.environ.get("LIB", "."))
CC, CXX = os.environ.get("CC", "cc"), os.environ.get("CXX", "c++")
GOLDEN = HERE / "abi-x86_64.txt"
LIBRARIES = {"libhusk": "husk/husk.h", "libhusk-pod": "husk/pod.h"}
HEADERS = ("husk/error.h", *LIBRARIES.values())


def declarations(headers=HEADERS):
    """Headers without comments and preprocessor lines."""
    text = "".join((INCLUDE / name).read_text(encoding="utf-8") for name in headers)
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)
    return re.sub(r"^#(?:[^\n]*\\\n)*[^\n]*\n", "", text, flags=re.M)


def functions(text):
    """{name: prototype} of what is declared HUSK_API."""
    found = {}
    for prototype in re.findall(r"\bHUSK_API\s+([^;]+);", text):
        prototype = " ".join(prototype.split())
        found[re.search(r"(\w+)\(", prototype).group(1)] = prototype
    return found


def bodies(kind, text):
    """(name, body) of each named struct or enum, in order; braces may nest."""
    for match in re.finditer(rf"\b{kind}\s+(\w+)\s*{{", text):
        depth, end = 1, match.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        yield match.group(1), text[match.end():end - 1]


def members(body):
    """Names of the members, also of unnamed unions; those of an unnamed struct inside are reached by
    the member's name."""
    body = re.sub(r"\b__extension__\s+union\s*\{([^{}]*)\}\s*;", r"\1", body)
    body = re.sub(r"\{[^{}]*\}", "", body)
    for declaration in body.split(";"):
        for declarator in declaration.split(","):
            names = re.findall(r"\w+", re.sub(r"\[[^\]]*\]", "", declarator))
            if names:
                yield names[-1]


def compile_and_run(source):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory)
        (path / "abi.c").write_text(source, encoding="utf-8")
        subprocess.run([CC, f"-I{INCLUDE}", "-o", path / "abi", path / "abi.c"], check=True)
        return subprocess.run([path / "abi"], check=True, stdout=subprocess.PIPE, text=True).stdout


def layout(text):
    """What the compiler makes of the structs and enums, a line each."""
    source = ["#include <stdio.h>", "#include <husk/husk.h>", "#include <husk/pod.h>", "int main(void) {"]
    for name, body in bodies("enum", text):
        for enumerator in re.findall(r"\bHUSK_\w+", body):
            source.append(f'printf("enum {name} {enumerator} %d\\n", {enumerator});')
    for name, body in bodies("struct", text):
        source.append(f'printf("struct {name} size %zu\\n", sizeof(struct {name}));')
        for member in members(body):
            field = f"((struct {name} *)0)->{member}"
            source.append(f'printf("struct {name} {member} at %zu size %zu\\n", '
                          f"offsetof(struct {name}, {member}), sizeof({field}));")
    return compile_and_run("\n".join([*source, "return 0; }"]))


def interface():
    text = declarations()
    return layout(text) + "".join(f"function {prototype}\n" for prototype in functions(text).values())


def defined(*arguments):
    """Names that nm finds; a version node of the linker's (A) is none."""
    output = subprocess.run(["nm", "--defined-only", *arguments], check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    lines = (line.split() for line in output.splitlines())
    return {line[2].split("@")[0] for line in lines if len(line) == 3 and line[1] != "A"}


def require_same(what, found, wanted):
    extra, missing = sorted(found - wanted), sorted(wanted - found)
    e2e.require(not extra and not missing, f"{what}: too many: {extra}; missing: {missing}")


def sanitized():
    return "SANITIZE" in os.environ


def test_symbols():
    for name, header in LIBRARIES.items():
        wanted = set(functions(declarations([header])))
        shared, archive = defined("-D", str(LIB / f"{name}.so")), defined("-g", str(LIB / f"{name}.a"))
        if sanitized():  # which have symbols of their own
            shared, archive = (set(filter(wanted.__contains__, names)) for names in (shared, archive))
        require_same(f"{name}.so", shared, wanted)
        require_same(f"{name}.a", archive, wanted)


def compiles(compiler, language, source):
    done = subprocess.run([*compiler, "-x", language, f"-I{INCLUDE}", "-Wall", "-Wextra", "-Werror",
                           "-pedantic", "-fsyntax-only", "-"], input=source, text=True, check=False,
                          stderr=subprocess.PIPE)
    e2e.require(done.returncode == 0, f"{' '.join(compiler)}: {source}\n{done.stderr}")


def uses():
    """A function that uses every _INIT macro as the manual does."""
    text = "".join((INCLUDE / name).read_text(encoding="utf-8") for name in HEADERS)
    macros = re.findall(r"#define (HUSK_\w+)_INIT\b", text)
    lines = [f"    struct {name.lower()} a{i} = {name}_INIT; (void)a{i};" for i, name in enumerate(macros)]
    return "#include <husk/husk.h>\n#include <husk/pod.h>\nvoid use(void);\nvoid use(void)\n{\n" + "\n".join(lines) + "\n}\n"


def test_headers_in_c():
    for header in HEADERS:
        for standard in ("c99", "c17"):
            compiles([CC, f"-std={standard}"], "c", f"#include <{header}>\nextern int unused;\n")
    compiles([CC, "-std=c99"], "c", uses())


def test_headers_in_cxx():
    if not CXX:
        print("skipped: abi: no C++ compiler: the headers were not compiled as C++")
        return
    for header in HEADERS:
        compiles([CXX, "-std=c++11"], "c++", f"#include <{header}>\n")
    # Designated initializers came with C++20; those that are left out are zero.
    compiles([CXX, "-std=c++20", "-Wno-missing-field-initializers"], "c++", uses())


def test_interface_is_what_it_was():
    if platform.machine() != "x86_64":
        print(f"skipped: abi: the list is that of x86_64, not {platform.machine()}")
        return
    was, found = GOLDEN.read_text(encoding="utf-8").splitlines(), interface().splitlines()
    gone = [line for line in was if line not in found]
    new = [line for line in found if line not in was]
    e2e.require(was == found, f"gone: {gone}\nnew: {new}\nto accept: {__file__} --update")


if sys.argv[1:] == ["--update"]:
    GOLDEN.write_text(interface(), encoding="utf-8")
else:
    e2e.main(globals())
