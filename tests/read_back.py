"""Reads the dataset of `tests/it/write/read_back.rs` with pyarrow and DuckDB and checks what they see.

Called by that test with the dataset's folder as its one argument."""

import json
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq


def check(seen, expected, what):
    assert seen == expected, f"{what}: {seen!r}, expected {expected!r}"


out = Path(sys.argv[1])
part = out / "extractions" / "part-00000.parquet"
schema = pq.read_schema(part)
text, instant = pa.string(), pa.timestamp("us", tz="UTC")

line = pa.struct([pa.field("what", text, False), pa.field("price", pa.float64(), False),
                  pa.field("tags", pa.list_(pa.field("item", text, False)))])
page_box = pa.struct([pa.field("path", text, False), *(pa.field(side, pa.float32(), False) for side in ("x0", "y0", "x1", "y1")),
                      pa.field("page", pa.int32(), True)])
why = pa.list_(pa.field("item", text, False))
one_try = pa.struct([pa.field("attempt", pa.int32(), False), pa.field("why", why, False), pa.field("budget", pa.int32()),
                     pa.field("rotate", pa.int32()), pa.field("tiles", pa.int32()), pa.field("temperature", pa.float32()), pa.field("shift", pa.float64()), pa.field("new_tokens", pa.int32(), False)])
expected = [
    ("_source", text, False), ("_hash", text, True), ("_unit", text, True), ("_kind", text, True), ("_part", text, False),
    ("_page", pa.int32(), True), ("_last_page", pa.int32(), True), ("_pages", pa.int32(), True), ("_start", pa.float64(), True), ("_end", pa.float64(), True),
    ("vendor", text, False), ("day", pa.date32(), True), ("received", instant, True),
    ("currency", pa.dictionary(pa.int32(), text), True), ("number", pa.int64(), True), ("paid", pa.bool_(), False),
    ("buyer", pa.struct([pa.field("name", text), pa.field("since", pa.int64())]), True),
    ("lines", pa.list_(pa.field("item", line, False)), False),
    ("_raw", text, False), ("_thought", text, True), ("_problems", pa.list_(pa.field("item", text, False)), False), ("_finish", text, False),
    ("_mean_logprob", pa.float32(), False), ("_budget", pa.int32(), False), ("_prompt_tokens", pa.int32(), False),
    ("_image_tokens", pa.int32(), False), ("_audio_tokens", pa.int32(), False), ("_new_tokens", pa.int32(), False),
    ("_thought_tokens", pa.int32(), False),
    ("_steps", pa.int32(), False), ("_forced_tokens", pa.int32(), False),
    ("_drafted_tokens", pa.int32(), False), ("_accepted_tokens", pa.int32(), False),
    ("_encode_ms", pa.float64(), False), ("_prefill_ms", pa.float64(), False), ("_decode_ms", pa.float64(), False),
    ("_attempt", pa.int32(), False), ("_tries", pa.list_(pa.field("item", one_try, False)), False),
    ("_model", text, False), ("_config", text, False), ("_written_at", instant, False),
    ("_boxes", pa.list_(pa.field("item", page_box, False)), False),
]
check([(field.name, field.type, field.nullable) for field in schema], expected, "columns")
check(schema.field("vendor").metadata[b"description"], b"Who wrote the invoice", "description")

footer = pq.read_metadata(part)
check(json.loads(footer.metadata[b"lapidary.schema"])["required"], ["vendor", "lines", "paid"], "schema in the footer")
check(footer.row_group(0).column(0).compression, "ZSTD", "compression")

table = pq.read_table(out / "extractions")
first, _, sparse = table.to_pylist()
check(first["day"].isoformat(), "2024-02-29", "a date")
check(first["received"].isoformat(), "2024-03-01T09:30:00.250000+00:00", "a date and time")
check(first["currency"], "EUR", "a choice")
check(first["lines"][0], {"what": "tea", "price": 2.5, "tags": ["hot", "green"]}, "a nested record")
check(first["buyer"], {"name": "Ada", "since": None}, "a nested null")
check(json.loads(first["_raw"])["number"], 1, "the raw answer")
check((first["_part"], first["_page"], first["_last_page"], first["_pages"], first["_start"]), ("page", 1, 1, 9, None), "a page")
check((sparse["_part"], sparse["_start"], sparse["_end"], sparse["_page"]), ("time", 30.0, 60.0, None), "a span of time")
check([sparse[name] for name in ("day", "received", "currency", "number", "buyer")], [None] * 5, "nulls")
check(sparse["lines"], [], "an empty list")
check(table.column("_encode_ms").to_pylist(), [1.5] * 3, "milliseconds")


def query(sql):
    return duckdb.sql(sql.format(rows=f"read_parquet('{out}/extractions/*.parquet')",
                                 failures=f"read_parquet('{out}/failures/*.parquet')")).fetchall()


check(query("select sum(line.price) from (select unnest(lines) as line from {rows})"), [(7.5,)], "DuckDB over nested lists")
check(query("select buyer.name, count(*) from {rows} where currency = 'EUR' group by all"), [("Ada", 2)], "DuckDB over structs")
check(query("select max(day)::varchar, epoch_us(max(received)) from {rows}"), [("2024-02-29", 1709285400250000)], "DuckDB over dates")
check(query("select stage, kind, _page, hint, count(*) from {failures} group by all"),
      [("decode", "corrupt", 3, "scan it again", 1)], "DuckDB over failures")
