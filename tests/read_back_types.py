"""Reads the second dataset of `tests/it/write/read_back.rs` with pyarrow and DuckDB: decimals, maps, tagged objects, JSON text.

Called by that test with the dataset's folder as its one argument."""

import json
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq


def check(seen, expected, what):
    assert seen == expected, f"{what}: {seen!r}, expected {expected!r}"


out = Path(sys.argv[1]) / "extractions"
schema = pq.read_schema(out / "part-00000.parquet")
check(schema.field("total").type, pa.decimal128(15, 2), "a decimal")
check(schema.field("share").type, pa.decimal128(4, 3), "a decimal between bounds")
check((schema.field("rates").type.key_type, schema.field("rates").type.item_type), (pa.string(), pa.decimal128(15, 2)), "a map")
check([field.name for field in schema.field("shape").type], ["kind", "radius", "width"], "the fields of all variants")
check(schema.field("any").type, pa.string(), "JSON text")
check(schema.field("any").metadata[b"note"], b"JSON text: values of several types", "the note of JSON text")

first, second = pq.read_table(out).to_pylist()
check(first["total"], Decimal("9999999999999.99"), "all digits of a decimal")
check(second["total"], Decimal("-0.01"), "a small decimal")
check(first["rates"], [("a.b", Decimal("1.10")), ("ü", Decimal("-2.00"))], "entries of a map")
check((first["shape"], second["shape"]), ({"kind": "circle", "radius": 2, "width": None}, None), "a tagged object")
check(json.loads(first["any"]), ["x", "y"], "JSON text that is a list")
check(second["any"], "3", "JSON text that is a number")

query = duckdb.sql(f"select sum(total), any_value(rates['a.b']), max(shape['radius']) from '{out}/*.parquet'").fetchall()[0]
check(query, (Decimal("9999999999999.98"), Decimal("1.10"), 2), "a query over decimals, maps and tagged objects")
check(duckdb.sql(f"select \"first.name\" from '{out}/*.parquet'").fetchall(), [("Ada",), (None,)], "a name with a dot")
