import subprocess
import sys

from xaibench.data.catalogue import DATA
from xaibench.data.samples import Dataset


def test_every_data_set_keeps_the_protocol():
    assert list(DATA) == ["shapes", "folder", "imagenet"]
    wanted = [name for name in vars(Dataset) if not name.startswith("_")] + ["__len__", "__getitem__", "label"]
    for kind in DATA.values():
        fields = getattr(kind, "__dataclass_fields__", {})
        assert [name for name in wanted if not hasattr(kind, name) and name not in fields] == []


def test_data_sets_are_known_without_torch():
    code = "import sys, xaibench.data.catalogue; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
