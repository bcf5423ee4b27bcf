# SPDX-License-Identifier: MIT
"""What workers are told of their client's main module, however that was started."""

import os
import subprocess
import sys
import zipfile

import pytest
from conftest import PACKAGE

TELL = """
import json
from procpool import preparation
if __name__ == "__main__":
    print(json.dumps(preparation.describe()))
"""


def describe(*arguments, cwd=None, stdin=""):
    """What a program says of itself."""
    program = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=cwd, input=stdin,
                             timeout=30)
    assert program.returncode == 0, program.stderr
    return __import__("json").loads(program.stdout.splitlines()[-1])


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(TELL)
    return path


def test_a_script_is_told_by_its_path(script, tmp_path):
    told = describe(str(script), "-x", "y")
    assert told["main"] == {"path": str(script)}
    assert told["argv"] == [str(script), "-x", "y"]
    assert told["path"][0] == str(tmp_path)


def test_a_scripts_path_is_absolute(script, tmp_path):
    assert describe("script.py", cwd=tmp_path)["main"] == {"path": str(script)}
    script.write_text("import os\nfrom procpool import preparation\nos.chdir('/')\n" + TELL)
    assert describe("script.py", cwd=tmp_path)["main"] == {"path": str(script)}


def test_a_module_is_told_by_its_name(script, tmp_path):
    told = describe("-m", "script", cwd=tmp_path)
    assert told["main"] == {"name": "script"}
    assert told["path"][0] == str(tmp_path)


@pytest.mark.parametrize("options", [["-c"], ["-Bc"], ["-W", "once", "-Xpycache_prefix=c", "-BX", "dev", "-c"]])
def test_code_of_the_command_line_is_told(options):
    told = describe(*options, TELL, "-c", "argument")
    assert told["main"] == {"code": TELL}
    assert told["argv"] == ["-c", "-c", "argument"]


def test_code_together_with_its_option_is_told():
    code = TELL.strip()
    assert describe("-c" + code)["main"] == {"code": code}


def test_code_without_a_guard_is_only_the_programs():
    assert "main" not in describe("-c", TELL.replace('if __name__ == "__main__":', "if True:"))


def test_the_search_path_is_absolute(tmp_path):
    told = describe("-c", "import sys; sys.path[:0] = ['', 'relative', '/absolute']" + TELL, cwd=tmp_path)
    assert told["path"][:3] == [str(tmp_path), str(tmp_path / "relative"), "/absolute"]


def test_a_directory_that_is_gone_is_no_error(tmp_path):
    code = f"import os; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\n{TELL}"
    assert describe("-c", code, cwd=tmp_path)["path"]


def test_a_script_from_standard_input_is_nothing():
    assert "main" not in describe("-", stdin=TELL)


def test_a_packages_main_is_nothing(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "__main__.py").write_text(TELL)
    assert "main" not in describe("-m", "package", cwd=tmp_path)


def test_an_archives_main_is_nothing(tmp_path):
    with zipfile.ZipFile(tmp_path / "archive.pyz", "w") as archive:
        archive.writestr("__main__.py", TELL)
    assert "main" not in describe(str(tmp_path / "archive.pyz"))


def test_what_workers_send_of_the_main_module_is_found_here(script):
    script.write_text(TELL + "    import sys\n    assert sys.modules['__mp_main__'] is sys.modules['__main__']\n"
                             "    print(json.dumps({}))\n")
    assert describe(str(script)) == {}


def test_the_guard_is_explained(monkeypatch):
    from procpool import preparation
    monkeypatch.setattr(preparation, "_loaded", None)
    preparation.check_not_loading()
    with pytest.raises(RuntimeError, match="if __name__ == '__main__':"):
        with preparation.loading({"code": ""}):
            preparation.check_not_loading()
    preparation.check_not_loading()


def test_importing_it_costs_little():
    code = "import procpool.preparation, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                            env={**os.environ, "PYTHONPATH": str(PACKAGE)})
    assert not {"multiprocessing", "subprocess", "ctypes", "msgpack"} & set(loaded.stdout.split())
