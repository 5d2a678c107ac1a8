import pytest

from xaibench.data.label_files import LabelRow, check_label, match_files, read_label_rows


@pytest.fixture
def table(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "labels.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


@pytest.mark.parametrize(
    "text",
    [
        "a.png,3\nb.png,cat\n",
        "\ufeffa.png, 3\r\n\r\nb.png ,cat",
        "file,label\na.png,3\nb.png,cat\n",
        "Label;Image\n3;a.png\ncat;b.png\n",
        "id\tfilename\tclass\n1\ta.png\t3\n2\tb.png\tcat\n",
        '"a.png","3"\n"b.png","cat"\n',
    ],
)
def test_headers_delimiters_and_blank_lines(table, text):
    assert [(row.file, row.label) for row in read_label_rows(table(text))] == [("a.png", "3"), ("b.png", "cat")]


def test_rows_know_their_lines_and_may_have_no_label(table):
    assert read_label_rows(table("file,label\n\na.png,\n")) == [LabelRow(3, "a.png", "")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no rows"),
        ("\n\n", "has no rows"),
        ("file,label\n", "a header but no rows"),
        ("a.png,1\nb.png\n", "line 2: expected a file and a label, got 'b.png'"),
        ("a.png,1\n,2\n", "line 2"),
        ("a.png\n", "expected two columns"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(table, text, message):
    with pytest.raises(ValueError, match=message):
        read_label_rows(table(text))


def test_another_encoding_is_refused(table):
    with pytest.raises(ValueError, match="no UTF-8"):
        read_label_rows(table("é.png,1", "latin-1"))


def rows(*files):
    return [LabelRow(line, file, "0") for line, file in enumerate(files, start=1)]


def test_files_are_found_by_path_name_or_stem():
    found = match_files(
        rows("y.png", "b/x.png", "./a/x.png", "z"), ["a/x.png", "b/x.png", "b/y.png", "z.JPEG"], "l.csv"
    )
    assert {relative: row.line for relative, row in found.items()} == {
        "a/x.png": 3,
        "b/x.png": 2,
        "b/y.png": 1,
        "z.JPEG": 4,
    }


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("a/x.png", "b/x.png", "q.png"), r"l\.csv, line 3: image 'q\.png' is missing"),
        (("x.png", "b/x.png"), r"line 1: image 'x\.png' is one of 2 files, a/x\.png, b/x\.png"),
        (("a/x.png", "b/x.png", "a/x.png"), r"line 3: 'a/x\.png' has a label in line 1 already"),
        (("a/x.png",), r"no row for 1 of 2 images: b/x\.png"),
    ],
)
def test_rows_and_files_that_do_not_fit(files, message):
    with pytest.raises(ValueError, match=message):
        match_files(rows(*files), ["a/x.png", "b/x.png"], "l.csv")


@pytest.mark.parametrize(("label", "n_classes"), [(-1, None), (3, 3), (10, 3)])
def test_labels_out_of_range(label, n_classes):
    with pytest.raises(ValueError, match=rf"here: label {label} is out of range"):
        check_label(label, n_classes, "here")


def test_labels_in_range():
    assert check_label(2, 3, "") == 2
    assert check_label(2000, None, "") == 2000
