import getpass
import json
import platform

from xaibench.records.provenance import provenance


def test_it_names_libraries_and_hardware_but_neither_host_nor_user():
    found = provenance(device="cpu", threads=2)
    assert found["libraries"]["numpy"].count(".") == 2
    assert found["threads"] == 2
    text = json.dumps(found)
    assert platform.node() not in text
    assert f'"{getpass.getuser()}"' not in text
