"""Records as a table: the columns, their types, and the way to and from Parquet."""

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from xaibench.records.record import Record

_TYPES = {
    "value": pa.float64(),
    "label": pa.int32(),
    "target": pa.int32(),
    "step": pa.int32(),
    "seed": pa.int64(),
    "forward_passes": pa.float64(),
    "seconds": pa.float64(),
    "curve_x": pa.list_(pa.float64()),
    "curve_y": pa.list_(pa.float64()),
}
COLUMNS = tuple(field.name for field in fields(Record))
SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in COLUMNS])

# Wall time differs from one execution to the next; everything else is reproducible.
MEASURED_COLUMNS = ("seconds",)
MEASURED_METRICS = (
    "milliseconds",
    "ratio_to_inference",
    "peak_memory_mib",
    "reserved_memory_mib",
    "hook_milliseconds",
    "phases_to_whole",
    "percent_of_peak",
    "matrix_gflop_per_second",
    "copy_gbyte_per_second",
    "processor_mhz",
    "gpu_mhz",
    "load_average",
)


def to_arrow(records: Iterable[Record]) -> pa.Table:
    """Turn records into an Arrow table with `SCHEMA`, in the order given."""
    rows = list(records)
    arrays = [pa.array([getattr(row, name) for row in rows], type=SCHEMA.field(name).type) for name in COLUMNS]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def read_records(files: Iterable[Path]) -> pd.DataFrame:
    """Read Parquet files of records, one after the other, into one table.

    Returns
    -------
    DataFrame
        The columns of `Record` and `shard`, the stem of the file each row comes from.
    """
    parts = [SCHEMA.append(pa.field("shard", pa.string())).empty_table()]
    for file in files:
        table = pq.read_table(file, schema=SCHEMA)
        parts.append(table.append_column("shard", pa.repeat(file.stem, len(table))))
    return pa.concat_tables(parts).combine_chunks().to_pandas()  # one chunk a column: rows are picked from it often
